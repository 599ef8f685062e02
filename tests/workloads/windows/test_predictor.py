"""Using a model: labels, probabilities and encoded windows of whatever is handed over."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phasetune.workloads.windows import load, load_encoder
from phasetune.workloads.windows.artifact import save_encoder
from phasetune.workloads.windows.model import Classifier, normalized
from phasetune.workloads.windows.predictor import WindowClassifier

WindowMaker = Callable[..., NDArray[np.float32]]

TRAINING = (
    "phasetune.run",
    "phasetune.study",
    "phasetune.train.batches",
    "phasetune.train.fit",
    "phasetune.train.optimizers",
    "phasetune.train.schedules",
    "phasetune.train.scores",
    "phasetune.train.splits",
    "phasetune.train.step",
    "phasetune.train.task",
    "phasetune.workloads.windows.augment",
    "phasetune.workloads.windows.checks",
    "phasetune.workloads.windows.finetune",
    "phasetune.workloads.windows.make",
    "phasetune.workloads.windows.masking",
    "phasetune.workloads.windows.pretrain",
)
HEAVY = ("sklearn", "scipy", "ray", "mlflow", "pandas", "pyarrow")

USE = """
import json, sys
import numpy as np
from phasetune.workloads.windows import load
windows = np.ones((3, 8, 2), np.float32)
windows.flags.writeable = False
model = load(sys.argv[1])
labels = model.predict(windows).tolist()
print(json.dumps({"labels": labels, "modules": sorted(sys.modules)}))
"""


@pytest.fixture
def loaded(model: Path) -> WindowClassifier:
    return load(model)


def test_a_model_gives_labels_and_probabilities(
    loaded: WindowClassifier, windows: WindowMaker
) -> None:
    probabilities = loaded.predict_proba(windows(50))
    assert probabilities.shape == (50, 3)
    assert probabilities.dtype == np.float64
    assert (probabilities > 0).all()
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    labels = loaded.predict(windows(50))
    assert labels.dtype == np.int64
    assert labels.tolist() == probabilities.argmax(axis=1).tolist()


def test_what_comes_out_is_that_of_the_network_on_normalised_windows(
    loaded: WindowClassifier, classifier: Classifier, windows: WindowMaker
) -> None:
    given = 400.0 + 3.0 * windows(20)
    with torch.no_grad():
        seen = normalized(torch.from_numpy(given), "window")
        logits, encoded = classifier(seen), classifier.encoder(seen)
    expected = torch.softmax(logits, dim=1).numpy()
    assert np.allclose(loaded.predict_proba(given), expected, atol=1e-6)
    assert np.allclose(loaded.encoder.encode(given), encoded.numpy(), atol=1e-6)
    assert not np.allclose(loaded.predict_proba(given)[0], loaded.predict_proba(given)[1])


def test_what_is_asked_twice_is_answered_alike(
    loaded: WindowClassifier, windows: WindowMaker
) -> None:
    first = loaded.predict_proba(windows(30))
    loaded.predict_proba(windows(7, stream=1))
    assert np.array_equal(loaded.predict_proba(windows(30)), first)


def test_batches_do_not_change_what_comes_out(
    loaded: WindowClassifier, windows: WindowMaker
) -> None:
    many = windows(2500)
    at_once = loaded.predict_proba(many)
    one_by_one = np.concatenate([loaded.predict_proba(part) for part in np.split(many, 25)])
    assert at_once.shape == (2500, 3)
    assert np.allclose(at_once, one_by_one, atol=1e-6)
    assert np.allclose(loaded.predict_proba(many[::-1])[::-1], at_once, atol=1e-6)
    encoded = loaded.encoder.encode(many)
    assert np.allclose(encoded[-3:], loaded.encoder.encode(many[-3:]), atol=1e-6)


def test_the_encoder_gives_a_vector_of_each_time_step(
    loaded: WindowClassifier, classifier: Classifier, windows: WindowMaker, tmp_path: Path
) -> None:
    encoded = loaded.encoder.encode(windows(5))
    assert encoded.shape == (5, 8, 8)
    assert encoded.dtype == np.float32
    save_encoder(tmp_path, classifier.encoder)
    for path in (tmp_path, str(tmp_path), tmp_path / "encoder.safetensors"):
        assert np.array_equal(load_encoder(path).encode(windows(5)), encoded)


@pytest.mark.parametrize(
    "given",
    [
        lambda windows: windows.tolist(),
        lambda windows: windows.astype(np.float64),
        lambda windows: windows.astype(">f4"),
        lambda windows: np.asfortranarray(windows),
        lambda windows: np.repeat(windows, 2, axis=0)[::2],
        lambda windows: torch.from_numpy(windows),
    ],
    ids=["lists", "double", "big-endian", "by columns", "strided", "tensor"],
)
def test_windows_of_any_kind_are_taken(
    loaded: WindowClassifier, windows: WindowMaker, given: Callable[[Any], Any]
) -> None:
    expected = loaded.predict_proba(windows(4))
    assert np.array_equal(loaded.predict_proba(given(windows(4))), expected)


def test_what_is_handed_over_stays_as_it_was(
    loaded: WindowClassifier, windows: WindowMaker
) -> None:
    given = windows(6)
    loaded.predict(given)
    loaded.encoder.encode(given)
    assert np.array_equal(given, windows(6))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.ones((8, 2)), r"windows must have shape \[n, time, 2\], but have \[8, 2\]$"),
        (np.ones((4, 8, 3)), r"windows must have shape \[n, time, 2\], but have \[4, 8, 3\]$"),
        (np.ones((1, 4, 8, 2)), r"shape \[n, time, 2\], but have \[1, 4, 8, 2\]$"),
        (np.ones((0, 8, 2)), r"shape \[n, time, 2\], but have \[0, 8, 2\]$"),
        (np.ones((4, 0, 2)), r"shape \[n, time, 2\], but have \[4, 0, 2\]$"),
        (np.full((4, 8, 2), np.nan), r"^windows must be finite, but have NaN or infinity$"),
        (np.full((4, 8, 2), -np.inf), r"^windows must be finite, but have NaN or infinity$"),
    ],
)
def test_windows_that_can_t_be_are_refused(
    loaded: WindowClassifier, given: NDArray[Any], sentence: str
) -> None:
    for use in (loaded.predict, loaded.predict_proba, loaded.encoder.encode):
        with pytest.raises(ValueError, match=sentence):
            use(given)


def test_one_bad_value_among_many_is_found(loaded: WindowClassifier, windows: WindowMaker) -> None:
    many = windows(1500)
    many[1400, 7, 1] = np.inf
    with pytest.raises(ValueError, match="windows must be finite"):
        loaded.predict(many)


def used(model: Path, *flags: str) -> dict[str, list[Any]]:
    """What a process that uses a model answers, and which modules it imported for that."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", USE, str(model)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[Any]] = json.loads(done.stdout)
    return found


def test_using_a_model_imports_nothing_of_training(model: Path) -> None:
    found = used(model)
    assert len(found["labels"]) == 3
    modules = set(found["modules"])
    assert "phasetune.workloads.windows.model" in modules
    assert not modules & set(TRAINING)
    assert not {name.partition(".")[0] for name in modules} & set(HEAVY)


def test_windows_that_can_t_be_written_are_taken_without_a_warning(model: Path) -> None:
    assert len(used(model, "-W", "error::UserWarning")["labels"]) == 3
