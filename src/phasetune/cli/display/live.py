"""The live display: a study as it stands, drawn anew while it runs.

The driver only leaves each event in a queue. A thread of the display's own takes them from there,
prints what is to stay above the display, and draws: no run waits for a terminal, and a signal that
tells of something in the middle of a line finds no lock to wait for.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from phasetune.cli.display.canvas import Canvas
from phasetune.cli.display.picture import study_view
from phasetune.cli.display.progress import Narrative, PatientConsole
from phasetune.cli.display.surroundings import Surveyor
from phasetune.run.events import Event, RunDone
from phasetune.run.picture.study import Picture
from phasetune.store.paths import ResultsPaths

_EVERY_SECONDS = 0.25
_LAST_WAIT_SECONDS = 2.0


def stays(event: Event) -> bool:
    """Whether what is told of an event is printed above a display, which shows the rest."""
    return not isinstance(event, RunDone)


class Screen:
    """The last lines of a terminal, drawn anew; what is printed stays above them.

    The cursor is not hidden: a command that is killed could not show it again. A terminal that is
    gone is drawn on no longer.
    """

    def __init__(self) -> None:
        self._console = _Console(file=sys.stdout, highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._is_gone = False

    @property
    def canvas(self) -> Canvas:
        """As large as the terminal is, but for an empty line above and that of the cursor below."""
        size = self._console.size
        is_ascii = not self._console.encoding.startswith("utf")
        return Canvas(columns=size.width, lines=max(1, size.height - 2), is_ascii=is_ascii)

    def draw(self, lines: Sequence[str], view: RenderableType) -> None:
        """Print lines and draw the view below them."""
        if self._is_gone:
            return
        try:
            self._live.start()
            for line in lines:
                self._console.print(line, markup=False)
            self._live.update(Group(Text(), view), refresh=True)
        except OSError:
            self._is_gone = True

    def close(self) -> None:
        """Take the view away; what was printed stays."""
        with suppress(OSError):
            self._live.stop()


class _Console(PatientConsole):
    def show_cursor(self, show: bool = True) -> bool:
        """Leave it as it is."""
        return not show


class LiveDisplay:
    """Listens to a driver, and draws what was heard."""

    def __init__(self, narrative: Narrative, surveyor: Surveyor) -> None:
        self._narrative = narrative
        self._surveyor = surveyor
        self._heard: deque[tuple[float, Event]] = deque()
        self._picture = Picture()
        self._screen = Screen()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._draw_on, name="display", daemon=True)

    def notify(self, event: Event) -> None:
        """Leave the event to the display's thread."""
        self._heard.append((time.time(), event))

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Within the block a thread draws; after it the terminal is as it was, but for lines that
        stay.
        """
        self._thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            self._thread.join(_LAST_WAIT_SECONDS)  # a terminal that is held up holds up no command

    def _draw_on(self) -> None:
        while not self._is_over.wait(_EVERY_SECONDS):
            self._draw()
        self._draw()
        self._screen.close()

    def _draw(self) -> None:
        lines: list[str] = []
        while self._heard:
            at, event = self._heard.popleft()
            self._picture = self._picture.take(at, event)
            told = self._narrative.lines(event)
            lines += told if stays(event) else []
        if self._picture.study:
            self._screen.draw(lines, self._view())

    def _view(self) -> RenderableType:
        around = self._surveyor.known
        return study_view(self._picture, self._screen.canvas, now=time.time(), around=around)


@contextmanager
def live_display(narrative: Narrative, results: ResultsPaths) -> Iterator[LiveDisplay]:
    """A display that draws within the block, of a study below a results root."""
    surveyor = Surveyor(results)
    display = LiveDisplay(narrative, surveyor)
    with surveyor.asking(), display.drawing():
        yield display
