"""The page in a real browser: it renders, offline, at the width of a desk and of a phone."""

import base64
import io
import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service

from conftest import StudyMaker
from phasetune import StudyOutcome, write_page
from phasetune.api import run_study
from phasetune.store.documents import write_document
from report.page.pages import HOSTILE

OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
WIDTHS = {"desktop": 1280, "phone": 390, "small phone": 320}
PHASES = [
    {"name": "value", "grid": {"train.value": [0.2, 0.6, 0.4]}},
    {"name": "preparation", "grid": {"prepare.value": [0.5, 0.7]}},
    {"name": "steps", "points": [{"train.steps": steps} for steps in range(8, 0, -1)]},
]
COUNTS = {"confusion_0_0": 80, "confusion_0_1": 20, "confusion_1_0": 5, "confusion_1_1": 45}


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Debian's chromium without a window; nothing is downloaded."""
    driver, program = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or program is None:
        pytest.skip("there is no chromium with its chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        found = webdriver.Chrome(options=options, service=Service(driver))
    except WebDriverException as error:
        pytest.skip(f"chromium does not start here: {error.msg}")
    try:
        found.execute_cdp_cmd("Network.enable", {})
        found.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE)
        yield found
    finally:
        found.quit()


@pytest.fixture(scope="module")
def outcome(scripted_study: StudyMaker, tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    """Folds, a tie that the leader does not win, a hostile description, a classifier's counts."""
    study = scripted_study(
        description=HOSTILE,
        params={"train": {"noise": 0.1}},
        replicates={"folds": 2},
        phases=PHASES,
        objective={"metric": "accuracy"},
        constraints=["score >= 0.3"],
        ties="prefer_first",
        workload="measured",
    )
    results = tmp_path_factory.mktemp("browser") / "results"
    done = run_study(study, results=results, in_process=True)
    final = json.loads(done.paths.final.read_text())
    final["test"] |= {"accuracy": 125 / 150, **COUNTS}
    write_document(done.paths.final, final)
    return done


@pytest.fixture(scope="module")
def page(outcome: StudyOutcome) -> Path:
    (written,) = write_page(outcome.paths.root.parent)
    return written


def look(browser: webdriver.Chrome, page: Path, *, width: int, scheme: str = "light") -> None:
    """Open the page at a width, as that scheme of colours shows it."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    browser.get(page.as_uri())


def ask(browser: webdriver.Chrome, script: str) -> Any:
    return browser.execute_script(f"return {script}")


@pytest.fixture(params=list(WIDTHS.values()), ids=list(WIDTHS))
def opened(
    browser: webdriver.Chrome, page: Path, request: pytest.FixtureRequest
) -> webdriver.Chrome:
    look(browser, page, width=request.param)
    return browser


def test_it_has_no_errors(opened: webdriver.Chrome) -> None:
    assert opened.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_the_page_is_no_wider_than_the_window(opened: webdriver.Chrome) -> None:
    width = ask(opened, "document.documentElement.scrollWidth")
    assert width <= ask(opened, "window.innerWidth")


def test_every_figure_has_a_size(opened: webdriver.Chrome) -> None:
    boxes = ask(
        opened,
        "[...document.querySelectorAll('figure svg')].map(drawn => {"
        "const box = drawn.getBoundingClientRect(); return [box.width, box.height]})",
    )
    assert len(boxes) >= 5
    assert min(side for box in boxes for side in box) > 50


def test_the_winners_are_those_of_the_decisions(
    opened: webdriver.Chrome, outcome: StudyOutcome
) -> None:
    named = ask(opened, "[...document.querySelectorAll('.winner')].map(name => name.innerText)")
    decisions = [
        outcome.paths.phase(record["phase"]).decision for record in outcome.report["phases"]
    ]
    records = [json.loads(path.read_text()) for path in decisions]
    assert named == [record["winner"] for record in records]
    assert named != [record["leader"] for record in records]


@pytest.mark.parametrize("width", [WIDTHS["phone"], WIDTHS["small phone"]])
def test_a_phone_shows_trial_standing_and_score_of_each_row(
    browser: webdriver.Chrome, page: Path, width: int
) -> None:
    look(browser, page, width=width)
    rows = "document.querySelectorAll('#phase-steps div.card > .scroll tbody tr')"
    told = ask(browser, f"[...{rows}].map(row => row.querySelector('.below').innerText)")
    assert "winner" in told[0]
    edges = ask(
        browser,
        f"[...{rows}].map(row => [row.querySelector('.number-cell').getBoundingClientRect().right,"
        " row.closest('.scroll').getBoundingClientRect().right])",
    )
    assert len(edges) == 8
    assert all(score <= table for score, table in edges)


def test_a_desk_has_a_column_for_the_standing(browser: webdriver.Chrome, page: Path) -> None:
    look(browser, page, width=WIDTHS["desktop"])
    seen = "getComputedStyle(document.querySelector('#phase-steps {}')).display"
    assert ask(browser, seen.format(".below")) == "none"
    assert ask(browser, seen.format("td.below-name")) == "table-cell"


@pytest.mark.parametrize("place", ["#phase-steps .sheet", "#phase-steps div.card > .scroll"])
@pytest.mark.parametrize("end", ["left", "right"])
def test_what_lies_outside_a_card_has_a_shadow_at_that_edge(
    browser: webdriver.Chrome, page: Path, place: str, end: str
) -> None:
    look(browser, page, width=WIDTHS["small phone"])
    box = f"document.querySelector('{place}')"
    assert ask(browser, f"{box}.scrollWidth - {box}.clientWidth") > 20
    at_start = edges_of(browser, box)
    browser.execute_script(f"{box}.scrollLeft = 1e6")
    at_end = edges_of(browser, box)
    assert (at_start[end] < at_end[end] - 20) is (end == "right")
    assert (at_end[end] < at_start[end] - 20) is (end == "left")


def edges_of(browser: webdriver.Chrome, box: str) -> dict[str, float]:
    """How bright the first and last pixels within a card are, near its lower edge."""
    area = ask(
        browser,
        f"(({{left, right, bottom}}) => [left, right, bottom + scrollY])"
        f"({box}.getBoundingClientRect())",
    )
    left, right, bottom = area
    return {
        "left": pixel(browser, left + 2, bottom - 16),
        "right": pixel(browser, right - 4, bottom - 16),
    }


def pixel(browser: webdriver.Chrome, x: float, y: float) -> float:
    """The brightness of a pixel of the page, from 0 to 255."""
    clip = {"x": x, "y": y, "width": 2, "height": 2, "scale": 1}
    asked = {"captureBeyondViewport": True, "clip": clip}
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]
    shown = imread(io.BytesIO(base64.b64decode(taken)), format="png")
    return float(shown[0, 0, :3].mean() * 255)


def test_what_people_wrote_is_shown_as_they_wrote_it(opened: webdriver.Chrome) -> None:
    shown = ask(opened, "document.querySelector('.question').innerText")
    assert shown == HOSTILE
    assert ask(opened, "document.scripts.length") == 0


def test_the_answer_and_its_score_are_on_the_first_screen(
    browser: webdriver.Chrome, page: Path
) -> None:
    look(browser, page, width=WIDTHS["desktop"])
    below = ask(browser, "document.querySelector('.score').getBoundingClientRect().bottom")
    assert below < 900
    assert ask(browser, "document.querySelector('.big').innerText") == "0.8333"
    for part in ("dot", "band", "promise"):
        assert ask(browser, f"document.querySelector('.{part}').getBoundingClientRect().left") > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", list(WIDTHS.values()), ids=list(WIDTHS))
def test_text_can_be_read_in_both_schemes(
    browser: webdriver.Chrome, page: Path, scheme: str, width: int
) -> None:
    look(browser, page, width=width, scheme=scheme)
    ink, ground = (
        ask(browser, f"getComputedStyle(document.body).{name}")
        for name in ("color", "backgroundColor")
    )
    is_dark = brightness(ground) < brightness(ink)
    assert is_dark == (scheme == "dark")
    assert abs(brightness(ground) - brightness(ink)) > 150


def brightness(colour: str) -> float:
    """Of `rgb(1, 2, 3)`, from 0 to 255."""
    found = [float(part) for part in colour.strip("rgb()").split(",")]
    return sum(found) / len(found)


def test_a_picture_of_it_is_not_empty(browser: webdriver.Chrome, page: Path) -> None:
    look(browser, page, width=WIDTHS["desktop"], scheme="dark")
    taken = base64.b64decode(browser.get_screenshot_as_base64())
    assert struct.unpack(">II", taken[16:24])[0] == WIDTHS["desktop"]
    assert len(taken) > 20_000
