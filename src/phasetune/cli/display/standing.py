"""Where studies stand by their files, for `phasetune status`: as a picture or as a line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from phasetune.cli.display.canvas import Canvas, clean, fitting, rough_text, sentence, title
from phasetune.cli.display.picture import study_view
from phasetune.cli.display.progress import Narrative
from phasetune.cli.display.surroundings import Surroundings
from phasetune.report.document import chosen_studies, report_document
from phasetune.run.events import Event, RunFailed
from phasetune.run.picture.study import Picture
from phasetune.run.whereabouts import Follower, State, Whereabouts
from phasetune.select.words import decision_sentences
from phasetune.store.driver_lock import begun_studies
from phasetune.store.owner import Owner
from phasetune.store.paths import (
    ResultsPaths,
    StudyPaths,
    results_as_typed,
    results_at,
    shown_path,
)


class StudyStanding:
    """A study that is read on; all else is of the last time that it was read.

    `report` is the canonical document, where nobody drives the study.
    """

    def __init__(self, paths: StudyPaths, folder: str) -> None:
        self.name = paths.root.name
        self.where = Whereabouts(picture=Picture(), owner=None, is_alive=False)
        self.report: Mapping[str, Any] | None = None
        self._paths = paths
        self._follower = Follower(paths)
        self._narrative = Narrative(folder)

    def read(self) -> list[tuple[Event, list[str]]]:
        """Read on; returns what is new, with the lines that tell of it.

        Raises:
            StoreError: what the study left is not what was written.
        """
        before = self._follower.whereabouts
        told = [(event, self._narrative.lines(event)) for event in self._follower.new()]
        # A driver that ended between these two has said its last: it is told the next time.
        self.where = replace(before, picture=self._follower.picture)
        is_kept = not self.where.state.is_open and self._paths.study.exists()
        self.report = report_document(self._paths) if is_kept else None
        return told

    @property
    def state(self) -> State:
        """What it is doing; done where all that it asks for was decided and is there."""
        is_done = self.report is not None and self.report["is_complete"]
        return State.DONE if is_done else self.where.state


def standings(results: str, study: str | None) -> list[StudyStanding]:
    """The study of this name below a results root, or all of them, read once.

    Raises:
        StoreError: there is none, or what one left can't be read.
    """
    chosen = _chosen(results_at(results), study)
    typed = results_as_typed(results)
    found = [StudyStanding(p, shown_path(typed.study(p.root.name).root)) for p in chosen]
    for standing in found:
        standing.read()
    return found


def _chosen(paths: ResultsPaths, study: str | None) -> list[StudyPaths]:
    """Also those that are so new that nothing but their driver's lock or lease is there."""
    known = {one.root.name for one in paths.studies()}
    begun = [paths.study(name) for name in sorted(begun_studies(paths) - known)]
    new = [
        one
        for one in begun
        if study in (None, one.root.name) and Follower(one).whereabouts.state.is_open
    ]
    if new and (study is not None or not known):
        return new
    return [*chosen_studies(paths.root, study), *new]


def print_standings(
    found: Sequence[StudyStanding], console: Console, *, now: float, around: Surroundings
) -> None:
    """Print them for people: in as many lines as it takes."""
    is_ascii = not console.encoding.startswith("utf")
    canvas = Canvas(columns=console.width, is_ascii=is_ascii)
    console.print(standings_view(found, canvas, now=now, around=around))


def standings_view(
    found: Sequence[StudyStanding], canvas: Canvas, *, now: float, around: Surroundings
) -> RenderableType:
    """Studies that are done in a line or two each, others as pictures that share the canvas."""
    pictured = [standing for standing in found if _has_picture(standing)]
    others = [standing for standing in found if not _has_picture(standing)]
    lines = [fitting(line, canvas) for standing in others for line in _short(standing, canvas, now)]
    share = canvas
    if canvas.lines is not None:
        room = canvas.lines - len(lines) - len(found)
        share = replace(canvas, lines=max(1, room // max(1, len(pictured))))
    parts: list[RenderableType] = [*lines]
    for standing in pictured:
        parts += [Text()] if parts else []
        parts.append(_view(standing, share, now, around))
    return Group(*parts)


def _has_picture(standing: StudyStanding) -> bool:
    return standing.state is not State.DONE and bool(standing.where.picture.study)


def _short(standing: StudyStanding, canvas: Canvas, now: float) -> Iterator[Text]:
    """A name, a state, and the last decision; when the last thing happened, where it is known."""
    last_at = standing.where.picture.last_at
    ago = f", {_ago(last_at, now)}" if last_at else ""
    head = Text(clean(standing.name), style="bold")
    yield head + Text(f"  {standing.state}{ago}", style=_style(standing.state))
    report = standing.report
    if report is not None and report["phases"]:
        last = report["phases"][-1]
        told = clean(decision_sentences(last)[0])
        yield from sentence(title(""), f"{clean(last['phase'])}: {told}", canvas)


def _style(state: State) -> str:
    return {State.DONE: "green", State.RUNNING: "cyan", State.PERHAPS: "cyan"}.get(state, "yellow")


def _view(
    standing: StudyStanding, canvas: Canvas, now: float, around: Surroundings
) -> RenderableType:
    where = standing.where
    failures = _failures(where.picture.failures, canvas)
    last = [*_driver(where, now, canvas), *failures, *_notices(where.picture, canvas)]
    at = now if standing.state.is_open else where.picture.last_at
    picture = where.picture if standing.state.is_open else where.picture.closed()
    return study_view(picture, canvas, now=at, around=around, last=last)


def _driver(where: Whereabouts, now: float, canvas: Canvas) -> Iterator[Text]:
    state, ended = where.state, where.picture.ended
    heard = Text(f", last heard of {_ago(where.picture.last_at, now)}")
    yield title("state") + Text(state, style=_style(state)) + heard
    if ended is not None and ended.message and not state.is_open:
        by = "ended by " if ended.outcome == "interrupted" else ""
        yield from sentence(title(""), clean(f"{by}{ended.message}"), canvas)
    if where.owner is not None:
        yield from sentence(title("driver"), clean(_who(where.owner, where, now)), canvas)
    if state is State.INTERRUPTED:
        yield from sentence(title(""), "the same command goes on from what is stored", canvas)


def _who(owner: Owner, where: Whereabouts, now: float) -> str:
    unknown = "; whether it lives is not known from here"
    if where.renewed_at is not None:
        unknown += f" at one look, but by its clock it was there {_ago(where.renewed_at, now)}"
    known = {True: "", False: " is gone", None: unknown}
    return f"pid {owner.pid} on {owner.host}, since {owner.since}{known[where.is_alive]}"


def _failures(failures: Sequence[RunFailed], canvas: Canvas) -> Iterator[Text]:
    for failed in failures:
        told = clean(f"{failed.label}: {failed.failure.message}")
        yield from sentence(title("FAILED"), told, canvas, style="red")
        for line in failed.tail:
            yield title("") + Text(clean(line), style="dim")


def _notices(picture: Picture, canvas: Canvas) -> Iterator[Text]:
    for message in picture.notices:
        yield from sentence(title("told"), clean(message), canvas)


def _ago(at: float, now: float) -> str:
    return f"{rough_text(max(0.0, now - at))} ago"
