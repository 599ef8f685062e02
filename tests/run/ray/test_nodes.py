"""Machines of a joined cluster are visited before anything trains; here each is a real Ray node."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune.study.dump import yaml_text
from ray_head import RayHead, command, new_token

pytestmark = pytest.mark.ray

BLIND = 'mount --make-rprivate / && mount -t tmpfs none "$0" && exec "$@"'


@pytest.fixture
def blind_head(tmp_path: Path) -> Iterator[RayHead]:
    """On it another storage is mounted where the results are, and another numpy is installed."""
    results, elsewhere = tmp_path / "results", tmp_path / "site"
    (elsewhere / "numpy-0.9.dist-info").mkdir(parents=True)
    metadata = "Metadata-Version: 2.1\nName: numpy\nVersion: 0.9\n"
    (elsewhere / "numpy-0.9.dist-info" / "METADATA").write_text(metadata)
    results.mkdir()
    prefix = ["unshare", "--mount", "sh", "-c", BLIND, str(results)]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces can be made here")
    with RayHead(
        tmp_path,
        token=new_token(tmp_path / "token"),
        prefix=prefix,
        environment={"PYTHONPATH": str(elsewhere)},
    ) as found:
        yield found


def test_what_a_node_lacks_is_told_before_anything_trains_and_by_the_doctor(
    blind_head: RayHead, tmp_path: Path, scripted_study: StudyMaker
) -> None:
    study = scripted_study(phases=[{"name": "one", "points": [{}]}])
    (tmp_path / "study.yaml").write_text(
        yaml_text(study.model_dump(mode="json", exclude_unset=True))
    )
    variables = {**blind_head.environment, "PYTHONPATH": ""}
    code, output = command(
        tmp_path, variables, "run", "study.yaml", "--address", blind_head.address
    )
    assert code == 2, output
    told = " ".join(output.split())
    name = os.uname().nodename
    assert f"error: the node {name} (127.0.0.1) can't execute this study's runs: it has" in told
    assert "it has numpy 0.9, and the driver's machine " in told
    assert f"it doesn't see the results at {tmp_path / 'results'}: mount the same storage" in told
    assert "Traceback" not in output
    assert not list((tmp_path / "results" / "store").glob("train/*"))
    assert not list((tmp_path / "results").rglob("seen-*"))

    code, output = command(tmp_path, variables, "doctor", "--address", blind_head.address, "--json")
    found = json.loads(output)
    (node,) = found["cluster"]["nodes"]
    assert (code, node["name"], node["cpus"]) == (1, f"{name} (127.0.0.1)", 2.0)
    assert len(node["lacks"]) == 2
    assert any("can't execute runs: it has numpy 0.9" in problem for problem in found["problems"])
