"""What Ray's cluster launcher is given: valid for Ray, `make`'s environment, four GPUs, a token.

The commands are parsed by the options of `ray start` itself; nothing is launched.
"""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]

from conftest import TESTS
from phasetune.run.ray.session import ARENAS

ROOT = TESTS.parent
FILES = ["cluster.yaml", *sorted(f"configs/clusters/{path.name}" for path in
                                 (ROOT / "configs" / "clusters").iterdir())]  # fmt: skip

each_file = pytest.mark.parametrize("file", FILES)


def content(file: str) -> dict[str, Any]:
    """A launcher file as Ray reads it."""
    found: dict[str, Any] = yaml.safe_load((ROOT / file).read_text())
    return found


def commands(file: str, kind: str) -> list[str]:
    return [one for name, found in content(file).items() if name.endswith(kind) for one in found]


def ray_starts(file: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Of each `ray start` the variables before it, and its options as Ray's parser reads them."""
    from ray.scripts.scripts import start

    found = []
    for command in commands(file, "_start_ray_commands"):
        words = shlex.split(re.sub(r"\$\([^)]*\)", "10.0.0.1", command))
        program = next(place for place, word in enumerate(words) if word == "ray")
        if words[program + 1] == "start":
            parsed: click.Context = start.make_context("start", words[program + 2 :])
            found.append((dict(word.split("=", 1) for word in words[:program]), parsed.params))
    return found


@each_file
def test_ray_takes_the_file(file: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(content(file)))


def test_ray_would_refuse_a_key_that_it_does_not_know() -> None:
    from jsonschema import ValidationError  # type: ignore[import-untyped]
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(ValidationError, match="headstart"):
        validate_config(prepare_config({**content("cluster.yaml"), "headstart": []}))


@each_file
def test_each_cluster_has_four_gpus(file: str) -> None:
    found = content(file)
    if found["provider"]["type"] == "local":
        (_, head), (_, worker) = ray_starts(file)
        gpus = head["num_gpus"] + worker["num_gpus"] * len(found["provider"]["worker_ips"])
    else:
        assert found["max_workers"] == 0
        gpus = found["available_node_types"][found["head_node_type"]]["resources"]["GPU"]
    assert gpus == 4


@each_file
def test_every_node_asks_for_the_token_has_no_dashboard_and_workers_of_one_heap(file: str) -> None:
    starts = ray_starts(file)
    assert [options["head"] for _, options in starts] == [True, False][: len(starts)]
    assert all(variables["RAY_AUTH_MODE"] == "token" for variables, _ in starts)
    assert all(variables[ARENAS] == "1" for variables, _ in starts)
    assert starts[0][1]["include_dashboard"] is False
    assert starts[0][1]["autoscaling_config"]
    kept = "~/.ray/auth_token"
    assert content(file)["file_mounts"][kept] == kept
    assert f"chmod 600 {kept}" in commands(file, "setup_commands")


def test_workers_find_the_head_at_the_port_that_it_was_given() -> None:
    (_, head), (_, worker) = ray_starts("cluster.yaml")
    assert worker["address"] == f"$RAY_HEAD_IP:{head['port']}"


@each_file
def test_the_environment_is_the_one_of_make(file: str) -> None:
    setting_up = commands(file, "setup_commands")
    (made,) = [command for command in setting_up if "make" in command]
    target = made.split()[-1]
    dry = ["make", "--always-make", "--dry-run", target]
    steps = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    installs = [*steps.splitlines(), *setting_up]
    assert sum("pip install" in line for line in installs) >= 1
    assert all("--constraint constraints.txt" in line for line in installs if "pip install" in line)


@each_file
def test_no_machine_gets_the_environment_or_the_results_of_another(file: str) -> None:
    assert {".venv", "results"} <= set(content(file)["rsync_exclude"])
    assert content(file)["rsync_filter"] == [".gitignore"]


@each_file
def test_a_login_shell_finds_ray_as_ray_down_expects(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = [command for command in commands(file, "setup_commands") if "bashrc" in command]
    monkeypatch.setenv("HOME", str(tmp_path))
    told = ["bash", "-c", f"{line}; {line}; source ~/.bashrc; echo $PATH; cat ~/.bashrc"]
    path, *exports = subprocess.check_output(told, text=True).splitlines()
    assert path.startswith(f"{tmp_path}/phasetune/.venv/bin:")
    assert len(exports) == 1


@each_file
def test_commands_are_correct_shell(file: str) -> None:
    for command in commands(file, "_commands"):
        subprocess.run(["bash", "-n", "-c", command], check=True)  # noqa: S607


@each_file
def test_the_file_names_nobodys_machine_no_secret_and_no_index(file: str) -> None:
    text = (ROOT / file).read_text()
    addresses = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)
    assert all(address.startswith("192.0.2.") for address in addresses)  # RFC 5737: for examples
    assert not re.search(r"[0-9a-f]{32}|AKIA|BEGIN .*KEY|https?://|index-url|find-links", text)


def test_a_new_machine_of_ones_own_is_one_more_address(tmp_path: Path) -> None:
    from ray.autoscaler._private.util import prepare_config

    found = content("cluster.yaml")
    found["provider"]["worker_ips"].append("192.0.2.12")
    (kind,) = prepare_config(found)["available_node_types"].values()
    assert (kind["min_workers"], kind["max_workers"]) == (2, 2)
