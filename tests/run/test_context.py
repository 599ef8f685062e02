"""What a stage may report."""

from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import run_study

REPORTS = """
import scripted
from phasetune import Stage
Data = scripted.Data
STAGES = (
    Stage(name='train', params=scripted.Script, function='reports:train', reads=('train',)),
)
def train(ctx, params):
    ctx.report({'train_loss': 1.0, 'gradient_norm': 1.0}, step=1)
    ctx.report({NAME: float(VALUE)}, step=2)
    (ctx.output / 'went_on').touch()
    return {'score': 1.0, 'other': 1.0}
"""


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("loss", "nan", "metric 'loss' must be finite, but is nan at step 2"),
        ("val_loss", "inf", "metric 'val_loss' must be finite, but is inf at step 2"),
        ("train_loss", "-inf", "metric 'train_loss' must be finite, but is -inf at step 2"),
        ("loss", "1e300", None),
        ("gradient_norm", "nan", None),
        ("lossless", "inf", None),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_run_at_once(
    tmp_path: Path, scripted_study: StudyMaker, name: str, value: str, cause: str | None
) -> None:
    text = REPORTS.replace("NAME", repr(name)).replace("VALUE", repr(value))
    (tmp_path / "reports.py").write_text(text)
    study = scripted_study(
        workload="reports",
        import_from=[str(tmp_path), *scripted_study().import_from],
        phases=[{"name": "one", "points": [{}]}],
        final={"refit": False, "test": False},
    )
    outcome = run_study(study, results=tmp_path / "results", in_process=True)
    assert bool(list(tmp_path.rglob("went_on"))) is (cause is None)
    assert [cause in str(failed.failure.message) for failed in outcome.failures if cause] == (
        [True] if cause else []
    )
    assert len(outcome.failures) == (cause is not None)
