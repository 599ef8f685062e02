"""Draws where a study stands, in the columns and lines that there are.

Nothing is cut but what can be told by its beginning: on a narrow terminal a run takes two lines, on
a low one the first runs are shown and how many there are besides, and nothing of the machine.
"""

from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.text import Text

from phasetune.cli.display.canvas import (
    Canvas,
    clean,
    fitting,
    flowed,
    rough_text,
    sentence,
    sides,
    title,
)
from phasetune.cli.display.running import running_lines
from phasetune.cli.display.surroundings import Surroundings, machine_lines
from phasetune.run.events import TrialJudged
from phasetune.run.picture.phase import PhasePicture
from phasetune.run.picture.study import Picture

_MOST_WINNERS = 3
_LOW = 16


def study_view(
    picture: Picture, canvas: Canvas, *, now: float, around: Surroundings, last: Sequence[Text] = ()
) -> Group:
    """A study at an instant (seconds since 1970); `last` are lines that stand below it."""
    head = [*_head(picture, canvas, now)]
    body = [*_winners(picture), *_counts(picture, canvas, now), *_best(picture, canvas)]
    is_low = canvas.lines is not None and canvas.lines < _LOW
    machine = () if is_low else machine_lines(picture, around, canvas)
    tail = [*machine, *last]
    room = None if canvas.lines is None else canvas.lines - len([*head, *body, *tail])
    lines = [*head, *body, *running_lines(picture, canvas, now, room), *tail]
    return Group(*(fitting(line, canvas) for line in lines[: canvas.lines]))


def _head(picture: Picture, canvas: Canvas, now: float) -> Iterator[Text]:
    name = Text(clean(picture.study), style="bold")
    phase = _phase_title(picture)
    left = picture.seconds_left_of_study(now)
    seconds = (picture.last_at if picture.ended else now) - picture.started_at
    time = Text(rough_text(max(0.0, seconds)), style="dim")
    if picture.ended is None and picture.phase is not None:
        time = Text(", ", style="dim").join([time, Text(_left_text(left))])
    if canvas.is_narrow:
        yield name
        yield phase
        yield time
    else:
        yield sides(Text("  ").join([name, phase]), time, canvas)


def _phase_title(picture: Picture) -> Text:
    phase = picture.phase
    if phase is None:
        return Text("starting", style="dim")
    where = " of ".join(phase.position.split("/"))
    before = Text(f"phase {where}  " if where else "", style="dim")
    return before + Text(clean(phase.name), style="cyan")


def _left_text(seconds: float | None) -> str:
    return "time left unknown" if seconds is None else f"~{rough_text(seconds)} left"


def _counts(picture: Picture, canvas: Canvas, now: float) -> Iterator[Text]:
    phase = picture.phase
    if phase is None:
        return
    if phase.trials:
        ended = len(phase.candidates)
        counts = _row("trials", ended, phase.trials, canvas) + Text("  ")
        yield from _beside(counts, _standings(picture, phase), Text(), canvas)
    running = [f"{len(picture.running)} running"] if picture.running else []
    failed = [Text(f"{phase.failed} failed", style="red")] if phase.failed else []
    told = Text(", ").join([*failed, *(Text(text) for text in running)])
    if picture.is_starting:
        told = Text(f"{picture.backend} is starting", style="dim")
    counts = _row("runs", phase.ended, phase.missing, canvas) + Text("  ")
    yield from _beside(counts, told, _phase_left(picture, now), canvas)


def _phase_left(picture: Picture, now: float) -> Text:
    phase = picture.phase
    is_open = picture.ended is None and phase is not None and phase.decision is None
    if not is_open or phase is None or not phase.missing:
        return Text()
    left = picture.seconds_left_of_phase(now)
    is_last = left == picture.seconds_left_of_study(now)
    return Text() if left is None or is_last else Text(f"phase: {_left_text(left)}")


def _standings(picture: Picture, phase: PhasePicture) -> Text:
    good = "feasible" if picture.constraints else "done"
    told = [Text(f"{phase.standing('feasible')} {good}", style="green")]
    if phase.standing("infeasible"):
        told.append(Text(f"{phase.standing('infeasible')} infeasible", style="yellow"))
    if phase.standing("ineligible"):
        told.append(Text(f"{phase.standing('ineligible')} failed", style="red"))
    reused = Text(f" ({phase.reused} reused)", style="dim") if phase.reused else Text()
    return Text(", ").join(told) + reused


def _row(name: str, done: int, total: int, canvas: Canvas) -> Text:
    """A title, a bar, and how many of how many."""
    width = 10 if canvas.is_narrow else 24
    filled = width if done >= total else width * done // total
    full, empty = ("#", "-") if canvas.is_ascii else ("━", "─")
    bar = Text(full * filled, style="green") + Text(empty * (width - filled), style="dim")
    return title(name) + bar + Text(f"  {done} of {max(done, total)}")


def _beside(first: Text, told: Text, right: Text, canvas: Canvas) -> Iterator[Text]:
    """On one line where they fit, else below each other."""
    whole = first + told
    if not canvas.is_narrow:
        yield sides(whole, right, canvas) if right else whole[: len(whole.plain.rstrip())]
        return
    yield from flowed(first, [text for text in (told, right) if text], canvas, between="  ")


def _winners(picture: Picture) -> Iterator[Text]:
    won = [(n, d.winner) for n, d in picture.decisions.items() if d.winner is not None]
    for name, winner in won[-_MOST_WINNERS:]:
        yield title("won") + Text(f"{clean(name)}: ") + Text(clean(winner), style="bold green")


def _best(picture: Picture, canvas: Canvas) -> Iterator[Text]:
    phase = picture.phase
    if phase is None:
        return
    metric, mode = picture.metric, picture.mode
    feasible = phase.best(metric, mode=mode, is_feasible=True)
    overall = phase.best(metric, mode=mode, is_feasible=False)
    if feasible is not None:
        yield from _trial("best", feasible, metric, canvas, why="")
    if overall is not None and overall is not feasible:
        why = f"infeasible: misses {overall.reason}" if overall.reason else "infeasible"
        yield from _trial("overall", overall, metric, canvas, why=why)


def _trial(
    about: str, trial: TrialJudged, metric: str, canvas: Canvas, *, why: str
) -> Iterator[Text]:
    style = "green" if trial.standing == "feasible" else "yellow"
    told = [Text(clean(trial.trial), style=style), Text(f"{metric} {trial.metrics[metric]:.4f}")]
    is_beside = why and not canvas.is_narrow
    told += [Text(clean(why), style="dim")] if is_beside else []
    yield from flowed(title(about), told, canvas, between="  ")
    if why and not is_beside:
        yield from sentence(title(""), clean(why), canvas, style="dim")
