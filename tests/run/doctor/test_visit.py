"""All that the doctor finds of a machine, as one document."""

import json
import subprocess
import sys
from pathlib import Path

import phasetune
from phasetune.store.documents import document_text

PARTS = {
    "processor", "memory", "torch", "gpus", "versions", "disks", "ray", "tracking", "loader",
    "problems", "warnings", "is_usable",
}  # fmt: skip
IMPORTED = """
import sys
import phasetune.run.doctor.visit
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_every_part_is_told_in_plain_values_and_nothing_is_made(tmp_path: Path) -> None:
    found = phasetune.doctor(tmp_path / "results")
    assert set(found) == PARTS
    assert 0 < found["processor"]["usable_cores"] <= found["processor"]["cores"]
    assert found["memory"]["total_bytes"] > 0
    assert found["torch"]["is_importable"] is found["ray"]["is_importable"] is True
    assert {"python", "torch", "ray", "numpy", "mlflow"} <= set(found["versions"])
    assert found["disks"]["results"]["path"] == str(tmp_path / "results")
    assert found["tracking"] == {
        "uri": f"sqlite:///{tmp_path}/results/mlflow.db",
        "state": "not there yet",
    }
    assert found["is_usable"] is (found["problems"] == [])
    assert json.loads(document_text(found)) == found
    assert not list(tmp_path.iterdir())


def test_loader_settings_are_those_of_this_machine(tmp_path: Path) -> None:
    found = phasetune.doctor(tmp_path)
    cpus = max(1, int(found["processor"]["usable_cores"]))
    device = found["loader"].pop("device")
    assert device == ("cuda" if found["torch"]["seen_gpus"] else "cpu")
    settings = phasetune.recommended_loader_settings(device=device, cpus=cpus)
    assert found["loader"] == vars(settings)


def test_problems_of_several_parts_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    whole = phasetune.doctor(tmp_path, "mlruns")
    broken = phasetune.doctor(tmp_path / "taken", "mlruns")
    assert set(broken["problems"]) - set(whole["problems"]) == {
        f"results must be a folder, but {tmp_path / 'taken'} is a file; name another"
    }
    assert broken["is_usable"] is False
    (sentence,) = (said for said in broken["warnings"] if "tracking" in said)
    assert sentence.startswith("the tracking store mlruns does not answer: MLflow refuses plain")


def test_a_tracking_store_that_does_not_answer_keeps_no_study_from_running(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    found = phasetune.doctor(tmp_path)
    assert found["tracking"]["state"] == "does not answer"
    assert not [said for said in found["problems"] if "tracking" in said]


def test_asking_is_prepared_without_heavy_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & {"torch", "ray", "mlflow", "pandas", "sklearn"}
