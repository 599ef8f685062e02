"""What runs get on the nodes of a cluster: one without a GPU, and one that has one, in name."""

import json
import subprocess
import sys
from typing import Any

import pytest

from conftest import TESTS

pytestmark = pytest.mark.ray

LOOKS = """
import os
import ray
import scripted
from phasetune import Stage

Data, Script = scripted.Data, scripted.Script
STAGES = (
    Stage(name="load", params=Script, function="looks:load", reads=("unlabeled",), uses_gpu=False),
    Stage(name="fit", params=Script, function="looks:fit", reads=("train",)),
)

def looked(ctx):
    labels, granted = {}, {}
    if os.getpid() != int(os.environ["DRIVER"]):
        context = ray.get_runtime_context()
        labels, granted = context.get_node_labels(), context.get_assigned_resources()
    return {"score": 1.0, "pid": float(os.getpid()),
            "gpus": granted.get("GPU", 0.0),
            "is_b": float(labels.get("zone") == "b"),
            "hidden": float(os.environ.get("CUDA_VISIBLE_DEVICES") == "")}

def load(ctx, params):
    return looked(ctx)

def fit(ctx, params):
    return looked(ctx)
"""

CLUSTER = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
tests, folder = sys.argv[1:]
sys.path[:0] = [tests, f"{tests}/run"]
from phasetune.run.ray.session import ENVIRONMENT
os.environ.update({**ENVIRONMENT, "RAY_AUTH_MODE": "disabled", "RAY_NODE_IP_ADDRESS": "127.0.0.1"})
import ray
from ray.cluster_utils import Cluster
from conftest import Heard
from phasetune import Study, StudyError, run_study
from phasetune.run.events import Noticed, RunDone, WaveStarted
from phasetune.run.interrupt import Interrupted, StopSwitch
from phasetune.run.ray.environments import asked
from phasetune.run.ray.measuring import measured_on_cluster
from phasetune.run.ray.nodes import living_nodes
from phasetune.run.ray.placement import Ask
from test_measure import requests

os.environ["DRIVER"] = str(os.getpid())
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
nodes.add_node(num_cpus=2, num_gpus=1, labels={"zone": "b", "ray.io/accelerator-type": "A100"})
ray.init(address=nodes.address, log_to_driver=False)

def looking(points, **resources):
    return Study.model_validate({
        "name": "looking", "workload": "looks", "import_from": [folder, tests],
        "objective": {"metric": "score"}, "final": {"refit": False, "test": False},
        "phases": [{"name": "one", "points": points}], "resources_per_trial": resources})

def run(points, in_process=False, is_strict=False, **resources):
    heard = Heard()
    where = {"in_process": True} if in_process else {"address": "auto"}
    try:
        run_study(looking(points, **resources), results=Path(folder) / "results", listener=heard,
                  strict_environment=is_strict, **where)
    except StudyError as error:
        return {"error": str(error)}
    return {"seen": [(e.stage, e.metrics) for e in heard.of(RunDone)],
            "told": [e.message for e in heard.of(Noticed)],
            "devices": [e.device for e in heard.of(WaveStarted)]}

def measured(is_stopped=False, **asked):
    request = requests(looking([{}], gpu="auto"), Path(folder) / "measured")["fit"]
    request, stop, heard = replace(request, stall_timeout_seconds=60.0), StopSwitch(), Heard()
    if "labels" in asked:
        request = replace(request, stall_timeout_seconds=0.1)
    if is_stopped:
        stop.ask(15)
    try:
        found = measured_on_cluster(request, ask=Ask(cpu=1, gpu=1, **asked), listener=heard,
                                    stop=stop)
    except Interrupted:
        return "interrupted"
    return found.why

run([{"load.value": 0.1}], in_process=True)
NOWHERE = (("zone", "c"),)
points = [{"load.value": v, "fit.value": w} for v in (0.1, 0.2) for w in (1, 2)]
print(json.dumps({
    "both": run(points, gpu=0.5, cpu=1, accelerator="A100"),
    "strict": run(points, gpu=0.5, cpu=1, accelerator="A100", is_strict=True),
    "classes": list(asked(living_nodes(), "auto", stop=StopSwitch()).values()),
    "measured": [measured(), measured(labels=NOWHERE), measured(labels=NOWHERE, is_stopped=True)],
    "refused": run([{"load.value": 0.3}], labels={"zone": "c"}),
    "auto": run([{"load.value": 0.4}], gpu="auto", cpu=1)}), file=sys.stderr)
ray.shutdown()
nodes.shutdown()
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What runs saw on a head without and a node with a logical GPU, each study in its turn.

    In a process of its own: this one has another cluster.
    """
    folder = tmp_path_factory.mktemp("nodes")
    (folder / "looks.py").write_text(LOOKS)
    (folder / "cluster.py").write_text(CLUSTER)
    done = subprocess.run(
        [sys.executable, str(folder / "cluster.py"), str(TESTS), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return found


def of(stage: str, found: dict[str, Any]) -> list[dict[str, float]]:
    return [metrics for name, metrics in found["seen"] if name == stage]


def test_runs_get_what_they_ask_for_in_a_wave_of_both_kinds(seen: dict[str, Any]) -> None:
    fits, loads = of("fit", seen["both"]), of("load", seen["both"])
    assert (len(fits), len(loads)) == (4, 1)
    assert {(m["gpus"], m["is_b"]) for m in fits} == {(0.5, 1.0)}
    assert {(m["gpus"], m["hidden"]) for m in loads} == {(0.0, 1.0)}
    assert not {m["pid"] for m in fits} & {m["pid"] for m in loads}


def test_a_wave_without_gpus_is_told_as_one_of_a_cpu(seen: dict[str, Any]) -> None:
    assert seen["both"]["devices"] == ["cuda", "cuda"]
    assert seen["auto"]["devices"] == ["cpu", "cuda"]


def test_a_label_that_no_node_has_is_refused(seen: dict[str, Any]) -> None:
    error = seen["refused"]["error"]
    assert "of a node with zone=c, but the machines have 1 CPU and 0 GPU, 2 CPU and 1 GPU" in error
    assert error.endswith("(A100, zone=b); ask for another")


def test_a_gpu_that_torch_can_not_use_is_not_measured_and_taken_whole(seen: dict[str, Any]) -> None:
    (told,) = [text for text in seen["auto"]["told"] if "measured" in text]
    why = "could not be measured: torch can use no GPU there; it takes a whole GPU"
    assert told == f"fit value=0.4 fold 1/5 {why}"
    assert [metrics["gpus"] for metrics in of("fit", seen["auto"])] == [1.0]


def test_a_step_is_measured_on_a_node_or_it_is_said_why_not(seen: dict[str, Any]) -> None:
    here, nowhere, stopped = seen["measured"]
    assert here == "torch can use no GPU there"
    assert nowhere == "nothing came within 0.1 s"
    assert stopped == "interrupted"


def test_each_node_tells_in_which_class_its_gpus_compute(seen: dict[str, Any]) -> None:
    assert seen["classes"] == [["cpu", "fp32"]] * 2
    assert seen["strict"] == {"seen": [], "told": [], "devices": []}
