"""Planning and checking are instant because nothing heavy is imported on the way."""

import json
import subprocess
import sys

import pytest

HEAVY = {"ray", "torch", "mlflow", "pandas", "sklearn", "numpy", "scipy", "pyarrow"}

IMPORT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(
    "module",
    [
        "phasetune",
        "phasetune.plan.planner",
        "phasetune.store.artifacts",
        "phasetune.select.decide",
        "phasetune.study.load",
    ],
)
def test_a_room_without_numbers_imports_nothing_heavy(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, module], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "phasetune" in loaded
    assert not loaded & HEAVY


def test_the_engine_s_splits_import_neither_ray_nor_mlflow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, "phasetune.train.splits"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(json.loads(done.stdout)) & {"ray", "mlflow", "torch"}
