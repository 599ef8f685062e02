"""What changed since a study was last kept: what is said, what runs again, what stays."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import Heard
from phasetune import StoreError, Study, StudyOutcome
from phasetune.api import plan_study, run_study
from phasetune.run.events import Noticed
from phasetune.store import provenance
from stored import names_below

WORKLOAD = """
from pathlib import Path
from pydantic import BaseModel
from phasetune import Stage
from phasetune.store.digests import file_digest
from filed.score import score

class Step(BaseModel):
    value: float = 0.5

class Data(BaseModel):
    dir: str
    password: str = ""

    def fingerprint(self, part: str) -> str:
        return file_digest(Path(self.dir, f"{part}.txt"))

STAGES = tuple(
    Stage(name=name, params=Step, function="filed:step", reads=(part,))
    for name, part in (("prepare", "unlabeled"), ("fit", "train"), ("test", "test"))
)

def step(ctx, params):
    (ctx.output / "value.txt").write_text(str(params.value))
    return {"score": score(params.value)}
"""
DIGESTS = "store/digests.json"
SINCE = "changed since the last run: "
OTHER_CLASS = "what was computed before is of another environment class; it "
DECIDED_AGAIN = "the decision of phase one is made again; the old one is kept"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A workload of two files, its data of three, and a results root."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def kept(self) -> Path:
        return self.results / "shop"

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def study(self, *, values: Sequence[float] = (0.2, 0.6), **changes: Any) -> Study:
        content: dict[str, Any] = {
            "name": "shop",
            "workload": "filed",
            "import_from": [str(self.folder)],
            "data": {"dir": str(self.folder / "data")},
            "objective": {"metric": "score"},
            "phases": [{"name": "one", "grid": {"fit.value": list(values)}}],
        }
        return Study.model_validate({**content, **changes})

    def run(self, study: Study, **options: Any) -> tuple[StudyOutcome, list[str]]:
        """What came of it, and what was noticed."""
        heard = Heard()
        outcome = run_study(study, results=self.results, in_process=True, listener=heard, **options)
        return outcome, [event.message for event in heard.of(Noticed)]

    def planned(self, study: Study) -> list[str]:
        """The changes that a plan shows; it writes nothing but digests that it had to work out."""
        before = contents(self.results)
        told = list(plan_study(study, results=self.results).changes)
        after = contents(self.results)
        assert {n for n in {**before, **after} if before.get(n) != after.get(n)} <= {DIGESTS}
        return told


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names_below(folder)}


def executed(outcome: StudyOutcome) -> Counter[str]:
    return Counter(run["stage"] for run in outcome.result.account.executed)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(folder=tmp_path)
    made.write("filed/__init__.py", WORKLOAD)
    made.write("filed/score.py", "def score(value):\n    return value\n")
    for part in ("unlabeled", "train", "test"):
        made.write(f"data/{part}.txt", f"the {part} part")
    return made


Libraries = Callable[..., None]


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> Libraries:
    """Let these versions be installed."""

    return lambda **versions: monkeypatch.setattr(provenance, "_versions", lambda _: versions)


ALL = Counter(prepare=1, fit=3, test=1)
FINAL = {"fit": 1, "test": 1}
MIN = {"metric": "score", "mode": "min"}
SET = "params.{}.value: unset -> 0.7"
VALUE = {"value": 0.7}
THREADS = {"numerics": {"threads": 2}}


def case(what: str, changes: dict[str, Any], again: dict[str, int], *told: str) -> Any:
    return pytest.param(changes, None, again, list(told), id=what)


def written(what: str, file: str, again: dict[str, int], told: str) -> Any:
    return pytest.param({}, file, again, [told], id=what)


@pytest.mark.parametrize(
    ("changes", "file", "again", "told"),
    [
        case("nothing", {}, {}),
        case("the last stage", {"params": {"test": VALUE}}, {"test": 1}, SET.format("test")),
        case("the first stage", {"params": {"prepare": VALUE}}, ALL, SET.format("prepare")),
        case("threads are of the keys", THREADS, ALL, "numerics.threads: unset -> 2"),
        case("another winner", {"objective": MIN}, FINAL, "objective.mode: unset -> min"),
        case("what changes no result", {"max_failures": 1}, {}),
        written("test data", "data/test.txt", {"test": 1}, "data: test changed"),
        written("training data", "data/train.txt", {"fit": 3, "test": 1}, "data: train changed"),
        written("unlabeled data", "data/unlabeled.txt", ALL, "data: unlabeled changed"),
        written("a source file", "filed/score.py", ALL, "code: filed/score.py changed"),
        written("a new source file", "filed/more.py", ALL, "code: filed/more.py came"),
    ],
)
def test_what_changed_is_told_and_only_what_it_affects_runs_again(
    shop: Shop, changes: dict[str, Any], file: str | None, again: dict[str, int], told: list[str]
) -> None:
    assert executed(shop.run(shop.study())[0]) == ALL
    before = contents(shop.results / "store" / "fit").items()
    if file is not None:
        shop.write(file, "def score(value):\n    return value + 1\n")
    sentences = [SINCE + text for text in told]
    planned = shop.planned(shop.study(**changes))
    assert [text for text in planned if text != DECIDED_AGAIN] == sentences
    outcome, noticed = shop.run(shop.study(**changes))
    assert executed(outcome) == again
    assert noticed == planned
    assert before <= contents(shop.results / "store" / "fit").items()
    assert shop.planned(shop.study(**changes)) == []
    assert executed(shop.run(shop.study(**changes))[0]) == {}


def test_a_source_file_that_went_is_told(shop: Shop) -> None:
    shop.write("filed/more.py", "")
    shop.run(shop.study())
    (shop.folder / "filed" / "more.py").unlink()
    assert shop.planned(shop.study())[0] == f"{SINCE}code: filed/more.py went"


def test_twelve_names_are_told_at_most(shop: Shop) -> None:
    shop.run(shop.study())
    for number in range(15):
        shop.write(f"filed/m{number:02}.py", "")
    phases = [{"name": f"p{i:02}", "points": [{"fit.value": i / 9}]} for i in range(9)]
    *fields, more, files = shop.planned(shop.study(phases=phases))
    assert (len(fields), more) == (12, "and 7 more changes")
    assert files.startswith(f"{SINCE}code: filed/m00.py came, filed/m01.py came, ")
    assert files.endswith(" filed/m11.py came, and 3 more")


def test_a_study_that_never_ran_has_no_changes(shop: Shop) -> None:
    assert shop.planned(shop.study()) == []
    assert shop.run(shop.study())[1] == []


def test_a_secret_is_not_told(shop: Shop) -> None:
    data = {"dir": str(shop.folder / "data")}
    shop.run(shop.study(data={**data, "password": "correct horse"}))
    (told,) = shop.planned(shop.study(data={**data, "password": "battery staple"}))
    assert told == f"{SINCE}data.password: *** -> ***"


def test_a_decision_that_no_longer_holds_is_named_and_kept(shop: Shop) -> None:
    two = {"name": "two", "grid": {"prepare.value": [0.1, 0.3]}}
    phases = [{"name": "one", "grid": {"fit.value": [0.2, 0.6]}}, two]
    old = shop.run(shop.study(phases=phases))[0].decisions
    shop.write("data/train.txt", "another")
    again = [f"the decision of phase {name} is made again; the old one is kept" for name in old]
    assert shop.planned(shop.study(phases=phases))[1:] == again
    outcome, _ = shop.run(shop.study(phases=phases))
    for name, record in old.items():
        assert outcome.paths.phase(name).old_decision(record["inputs"]).is_file()
        assert outcome.decisions[name]["inputs"] != record["inputs"]


def test_a_later_decision_is_made_again_where_it_alone_is_of_another_plan(shop: Shop) -> None:
    one, two = ({"name": n, "grid": {"fit.value": [0.2, 0.6]}} for n in ("one", "two"))
    shop.run(shop.study(phases=[one, two]))
    told = shop.planned(shop.study(phases=[one, {**two, "grid": {"fit.value": [0.2, 0.3]}}]))
    assert told[1:] == ["the decision of phase two is made again; the old one is kept"]


def test_while_data_is_missing_no_decision_is_said_to_fall(shop: Shop) -> None:
    shop.run(shop.study())
    (shop.folder / "data" / "train.txt").unlink()
    assert shop.planned(shop.study()) == []


def test_another_library_is_shown_and_used_as_it_is_until_asked(
    shop: Shop, libraries: Libraries
) -> None:
    libraries(torch="2.12.0", numpy="2.1.0")
    shop.run(shop.study())
    libraries(torch="2.13.0", numpy="2.1.0", scipy="1.15")
    used = "is used as it is and marked, --strict-environment runs it again"
    told = f"{SINCE}torch 2.12.0 -> 2.13.0, scipy none -> 1.15: {OTHER_CLASS}{used}"
    assert shop.planned(shop.study()) == [told]
    outcome, noticed = shop.run(shop.study())
    assert (executed(outcome), noticed) == ({}, [told])


def test_what_is_of_two_classes_is_marked_and_runs_again_when_asked(
    shop: Shop, libraries: Libraries
) -> None:
    mixed = "Trials of one phase were computed in different environment classes."
    libraries(torch="2.12.0")
    shop.run(shop.study())
    libraries(torch="2.13.0")
    wider = shop.study(values=(0.2, 0.6, 0.4))
    outcome, _ = shop.run(wider)
    assert executed(outcome) == {"fit": 1}
    assert mixed in outcome.report["warnings"]
    libraries(torch="2.14.0")
    outcome, noticed = shop.run(wider, strict_environment=True)
    assert noticed == [f"{SINCE}torch 2.13.0 -> 2.14.0: {OTHER_CLASS}is run again"]
    assert executed(outcome) == ALL + Counter(fit=1)
    assert mixed not in outcome.report["warnings"]
    assert len(list((shop.results / "store" / "set-aside").glob("*/*-environment-1"))) == 6


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"a: &x 1\nb: *x"])
def test_a_torn_study_is_said_and_nothing_is_lost(shop: Shop, content: bytes) -> None:
    shop.run(shop.study())
    (shop.kept / "study.yaml").write_bytes(content)
    (told,) = shop.planned(shop.study())
    assert "study.yaml is missing or torn, so changes of parameters since the last run" in told
    outcome, noticed = shop.run(shop.study())
    assert (executed(outcome), noticed) == ({}, [told])
    (aside,) = shop.kept.glob("study-unreadable-*.yaml")
    assert aside.read_bytes() == content
    assert shop.planned(shop.study()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b"{}", b'{"data": 1}', None])
def test_torn_or_missing_inputs_are_said_and_nothing_is_lost(
    shop: Shop, content: bytes | None
) -> None:
    shop.run(shop.study())
    inputs = shop.kept / "inputs.json"
    inputs.unlink()
    if content is not None:
        inputs.write_bytes(content)
    (torn,) = shop.planned(shop.study())
    assert "inputs.json is missing or torn, so changes of code, data and libraries" in torn
    outcome, noticed = shop.run(shop.study())
    assert (executed(outcome), noticed) == ({}, [torn])
    kept = [path.read_bytes() for path in shop.kept.glob("inputs-unreadable-*.json")]
    assert kept == ([] if content is None else [content])
    assert shop.planned(shop.study()) == []


def test_a_study_that_is_no_file_is_an_error_of_one_sentence(shop: Shop) -> None:
    shop.run(shop.study())
    (shop.kept / "study.yaml").unlink()
    (shop.kept / "study.yaml").mkdir()
    with pytest.raises(StoreError, match=r"study\.yaml can't be read: Is a directory; move it"):
        shop.run(shop.study(seed=3))
