"""Ties, NaN, nothing feasible and a single trial, in every order in which runs may end."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune import Study
from phasetune.api import run_study
from phasetune.run.backend import InProcessBackend
from phasetune.run.events import Listener
from phasetune.run.interrupt import StopSwitch
from phasetune.run.request import RunRequest

Points = Sequence[Mapping[str, Any]]


class Shuffled(InProcessBackend):
    """Executes the runs of each wave in an order of its own."""

    order: Sequence[int] = ()

    def execute(self, wave: Sequence[RunRequest], *, listener: Listener, stop: StopSwitch) -> None:
        if len(wave) == len(self.order):
            wave = [wave[index] for index in self.order]
        super().execute(wave, listener=listener, stop=stop)


def point(value: float, **more: Any) -> dict[str, Any]:
    return {"train.value": value, **{f"train.{name}": given for name, given in more.items()}}


@pytest.mark.parametrize(
    ("points", "winner", "code"),
    [
        pytest.param([point(0.6, other=1.0), point(0.2), point(0.6, other=0.5)], 0, 0, id="tie"),
        pytest.param([point(0.6, fault="nan"), point(0.2), point(0.4)], 2, 0, id="one-NaN"),
        pytest.param([point(0.6, fault="missing"), point(0.2), point(0.4)], 2, 0, id="missing"),
        pytest.param([point(0.6, fault="raise"), point(0.2), point(0.4)], 2, 0, id="one-raises"),
        pytest.param([point(v, fault="nan") for v in (0.2, 0.4, 0.6)], None, 1, id="all-NaN"),
        pytest.param([point(v, fault="raise") for v in (0.2, 0.4)], None, 1, id="all-raise"),
        pytest.param([point(v, other=0.29) for v in (0.2, 0.4)], None, 3, id="infeasible"),
        pytest.param([point(0.4, other=0.3), point(0.6, other=0.29)], 0, 0, id="on-the-bound"),
        pytest.param([point(0.4)], 0, 0, id="one-trial"),
        pytest.param([point(0.4, fault="nan")], None, 1, id="one-trial-and-it-is-NaN"),
    ],
)
def test_the_same_trial_wins_in_every_order(
    points: Points,
    winner: int | None,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scripted_study: StudyMaker,
) -> None:
    study: Study = scripted_study(
        phases=[{"name": "only", "points": list(points)}], baseline=None, final={"test": False}
    )
    monkeypatch.setattr("phasetune.api.execute.InProcessBackend", Shuffled)
    reports = set[bytes]()
    for number, order in enumerate(permutations(range(len(points)))):
        Shuffled.order = order
        outcome = run_study(study, results=tmp_path / str(number), in_process=True)
        decision = outcome.decisions["only"]
        names = [trial["name"] for trial in decision["trials"]]
        assert decision["winner"] == (None if winner is None else names[winner])
        assert outcome.exit_code == code
        reports.add(outcome.paths.report.read_bytes())
    assert len(reports) == 1
