"""The job script of experiments/slurm, with stand-ins for SLURM's commands.

They execute on this machine what SLURM would on the job's nodes. In the first half Ray and the
study are stand-ins as well; in the second everything but SLURM is real.
"""

import itertools
import os
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import TESTS

SCRIPT = TESTS.parent / "experiments" / "slurm" / "study.sh"

STAND_INS = {
    "scontrol": """
if [ "$1" = show ]; then printf 'n%s\\n' $(seq "$SLURM_JOB_NUM_NODES"); else echo "$@" >>"$TOLD"; fi
""",
    "srun": """
echo "srun $*" >>"$TOLD"
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
""",
    "hostname": "echo 127.0.0.1",
}
RAY_AND_STUDY = {
    "ray": """
env | grep MALLOC_ >>"$TOLD"
trap 'echo "ray ended" >>"$TOLD"; kill $!; exit' TERM
sleep 600 &
echo "$WORDS"
wait
""",
    "python": """
said() { cat "$SLURM_SUBMIT_DIR"/.phasetune-job-*/ray.log 2>/dev/null | wc -l; }
until [ "$(said)" = "$SLURM_JOB_NUM_NODES" ]; do sleep 0.02; done
exit "$JOINING"
""",
    "phasetune": """
trap 'kill $!; exit "$ASKED"' TERM
echo "phasetune $*" >>"$TOLD"
stat -c '%a %s' "$RAY_AUTH_TOKEN_PATH" "$(dirname "$RAY_AUTH_TOKEN_PATH")" >"$SEEN"
echo started
[ -z "$ENDS" ] || exit "$ENDS"
sleep 600 & wait
""",
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job's folder and its environment; `told` is what was called, in its order."""

    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **changes: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", SCRIPT, *arguments],  # noqa: S607
            cwd=self.folder,
            env={**self.environment, **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def told(self) -> list[str]:
        return (self.folder / "told").read_text().splitlines()

    def left(self) -> list[Path]:
        return list(self.folder.glob(".phasetune-job*"))


def wait_for_the_study(job: subprocess.Popen[str]) -> None:
    assert job.stdout is not None
    output = iter(job.stdout.readline, "")
    before = list(itertools.takewhile(lambda line: line != "started\n", output))
    assert job.poll() is None, before


def stand_in(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (folder / name).chmod(0o755)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of two nodes with stand-ins for everything; the study waits to be asked for its end."""
    programs = tmp_path / "programs"
    programs.mkdir()
    stand_in(programs, {**STAND_INS, **RAY_AND_STUDY})
    return Job(
        folder=tmp_path,
        environment={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_JOB_NODELIST": "n[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "1",
            "TOLD": str(tmp_path / "told"),
            "SEEN": str(tmp_path / "seen"),
            "ENDS": "",
            "ASKED": "143",
            "JOINING": "0",
            "WORDS": "Ray runtime started.",
        },
    )


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("shellcheck")
    told = subprocess.run([linter, SCRIPT], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "")


@pytest.mark.parametrize("code", ["0", "1", "2"])
def test_the_job_ends_as_its_study_does(job: Job, code: str) -> None:
    started = job.start("study.yaml", "seed=7", ENDS=code)
    wait_for_the_study(started)
    assert started.wait() == int(code)
    port = 20000 + int(job.environment["SLURM_JOB_ID"]) % 10000
    assert f"phasetune run study.yaml seed=7 --address 127.0.0.1:{port}" in job.told()
    assert not any("requeue" in line for line in job.told())


@pytest.mark.parametrize(
    ("by", "asked", "requeued"),
    [
        pytest.param(signal.SIGUSR1, "143", True, id="time-is-up"),
        pytest.param(signal.SIGUSR1, "0", False, id="time-is-up-but-it-was-done"),
        pytest.param(signal.SIGUSR1, "2", False, id="time-is-up-but-it-was-refused"),
        pytest.param(signal.SIGTERM, "143", False, id="asked-to-stop"),
    ],
)
def test_a_job_whose_time_is_up_is_queued_again_once_its_study_stopped(
    job: Job, by: signal.Signals, asked: str, requeued: bool
) -> None:
    started = job.start("study.yaml", ASKED=asked)
    wait_for_the_study(started)
    started.send_signal(by)
    assert started.wait() == int(asked)
    told = job.told()
    assert (told[-1] == f"requeue {job.environment['SLURM_JOB_ID']}") is requeued
    assert told.count("ray ended") == 2
    assert told.index("ray ended") > next(i for i, line in enumerate(told) if "phasetune" in line)


def test_nobody_else_can_read_the_token_and_it_goes_with_the_job(job: Job) -> None:
    started = job.start("study.yaml", ENDS="0")
    wait_for_the_study(started)
    assert started.wait() == 0
    token, folder = (job.folder / "seen").read_text().splitlines()
    assert token == "600 64"  # noqa: S105 - mode and size
    assert folder.split()[0] == f"{stat.S_IRWXU:o}"
    assert job.left() == []


def test_ray_is_started_once_on_each_node_with_options_that_it_has(job: Job) -> None:
    from ray.scripts.scripts import start

    started = job.start("study.yaml", ENDS="0")
    wait_for_the_study(started)
    started.wait()
    lines = [line for line in job.told() if " ray start " in line]
    head, workers = sorted(lines, key=lambda line: "--head" not in line)
    parsed = [
        start.make_context("start", line.split(" ray start ")[1].split()).params
        for line in (head, workers)
    ]
    assert "--nodelist=n1 --nodes=1 --ntasks=1" in head
    assert "--exclude=n1 --nodes=1 --ntasks=1" in workers
    assert parsed[1]["address"] == f"{parsed[0]['node_ip_address']}:{parsed[0]['port']}"
    assert all(options["block"] and options["num_cpus"] == 1 for options in parsed)
    assert job.told().count("MALLOC_ARENA_MAX=1") == 2


def test_a_cluster_that_does_not_come_up_is_told_and_no_study_is_started(job: Job) -> None:
    started = job.start("study.yaml", JOINING="1", WORDS="no such interface")
    output = started.communicate()[0]
    assert started.returncode == 1
    assert "no such interface" in output
    assert not any("phasetune" in line for line in job.told())
    assert job.left() == []


def test_a_job_that_is_asked_for_its_end_before_its_study_began_leaves_nothing(job: Job) -> None:
    joining = job.folder / "programs" / "python"
    joining.write_text("#!/usr/bin/env bash\necho started\nexec sleep 600\n")
    started = job.start("study.yaml")
    wait_for_the_study(started)
    started.send_signal(signal.SIGTERM)
    assert started.communicate()[0] == "asked for an end before the study began\n"
    assert started.returncode == 143
    assert not any("phasetune" in line for line in job.told())
    assert job.left() == []


@pytest.mark.ray
@pytest.mark.torture
def test_a_study_that_ran_out_of_time_goes_on_in_the_next_job(job: Job) -> None:
    for name in RAY_AND_STUDY:
        (job.folder / "programs" / name).unlink()
    (job.folder / "study.yaml").write_text(
        f"""{{name: slow, workload: scripted, import_from: ['{TESTS}'], seed: 11,
        objective: {{metric: score}}, params: {{train: {{steps: 60, seconds: 0.5}}}},
        phases: [{{name: value, grid: {{train.value: [0.2]}}}}]}}"""
    )
    path = f"{job.folder}/programs:{Path(sys.executable).parent}:{os.environ['PATH']}"
    first = job.start("study.yaml", "--log-format", "json", PATH=path)
    assert first.stdout is not None
    seen = itertools.takewhile(lambda line: "run_reported" not in line, first.stdout)
    assert "study_started" in "".join(seen)
    first.send_signal(signal.SIGUSR1)
    output = first.communicate()[0]
    assert first.returncode == 143, output
    assert "interrupted (SIGTERM)" in output
    assert job.told()[-1].startswith("requeue ")
    second = job.start("study.yaml", "params.train.seconds=0", PATH=path)
    output = second.communicate()[0]
    assert second.returncode == 0, output
    assert job.left() == []
