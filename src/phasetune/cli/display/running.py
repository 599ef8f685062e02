"""Draws the runs that are running, a line or two for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from phasetune.cli.display.canvas import Canvas, clean, rough_text, sides
from phasetune.run.picture.pace import RunningRun, Tally
from phasetune.run.picture.study import Picture

_LEAST_LABEL = 24


@dataclass(frozen=True, kw_only=True)
class _Row:
    label: str
    step: str
    metrics: Mapping[str, str]
    left: str


def running_lines(picture: Picture, canvas: Canvas, now: float, room: int | None) -> Iterator[Text]:
    """A line per running run, two on a narrow terminal; as many as `room` lines hold."""
    rows = [_row(run, picture, now) for run in picture.running.values()]
    each, besides = (2, 1) if canvas.is_narrow else (1, 2)
    is_room = room is None or len(rows) * each + besides <= room
    shown = rows if is_room or room is None else rows[: max(0, room - besides - 1) // each]
    if not shown:
        return
    yield Text()
    yield from _narrow_rows(shown, canvas) if canvas.is_narrow else _wide_rows(shown, canvas)
    if len(shown) < len(rows):
        yield Text(f"and {len(rows) - len(shown)} more", style="dim")


def _row(run: RunningRun, picture: Picture, now: float) -> _Row:
    left = run.seconds_left_at(now, picture.seconds.get(run.stage, Tally()).mean)
    step = "" if run.step is None else str(run.step)
    return _Row(
        label=clean(run.label),
        step=f"{step or '0'}/{run.steps}" if run.steps else step,
        metrics={
            clean(name): f"{value:.4g}"
            for name, value in _shown(run.metrics, picture.metric).items()
        },
        left="" if left is None else rough_text(left),
    )


def _shown(metrics: Mapping[str, float], objective: str) -> dict[str, float]:
    """The loss on data that is not trained on, else another; and the objective, however named."""
    losses = sorted((n for n in metrics if "loss" in n), key=lambda n: (not n.startswith("val"), n))
    scores = [n for n in metrics if n == objective or n.endswith(f"_{objective}")]
    names = dict.fromkeys([*losses[:1], *scores[:1]])
    return {name: metrics[name] for name in names or list(metrics)[:1]}


def _wide_rows(rows: Sequence[_Row], canvas: Canvas) -> Iterator[Text]:
    """With a line of headings; what no run has yet has no column."""
    names = dict.fromkeys(name for row in rows for name in row.metrics)
    columns = [
        ("step", [row.step for row in rows]),
        *((name, [row.metrics.get(name, "") for row in rows]) for name in names),
        ("left", [row.left for row in rows]),
    ]
    cells = [_column(*column) for column in columns if any(column[1])]
    while cells and canvas.width - sum(len(column[0]) for column in cells) < _LEAST_LABEL:
        cells.pop()
    room = canvas.width - sum(len(column[0]) for column in cells)
    for number, label in enumerate(["running", *(row.label for row in rows)]):
        line = Text(label)
        line.truncate(room, overflow="ellipsis", pad=True)
        line = line + Text("".join(column[number] for column in cells))
        line.stylize("" if number else "dim")
        yield line


def _column(name: str, values: Sequence[str]) -> list[str]:
    width = max(map(len, (name, *values)))
    return [f"  {text:>{width}}" for text in (name, *values)]


def _narrow_rows(rows: Sequence[_Row], canvas: Canvas) -> Iterator[Text]:
    for row in rows:
        at = f"{row.step}  {row.left} left" if row.left else row.step
        yield sides(Text(row.label), Text(at), canvas)
        told = "  ".join(f"{name} {value}" for name, value in row.metrics.items())
        yield Text(f"  {told or 'no report yet'}", style="dim")
