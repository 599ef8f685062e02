"""torch, GPUs and Ray: what was found, and what is wrong with it.

Whatever a broken part raises becomes a sentence with a way out; nothing is made or changed.
"""

import importlib
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from phasetune.run.devices import Gpu, are_gpus_hidden, gpus
from phasetune.run.doctor.part import Part
from phasetune.run.ray.token import (
    TokenFile,
    is_authentication_on,
    is_token_in_environment,
    token_file,
)
from phasetune.study.schema import Numerics

_MOST_SAID = 300
_OR_CPU = ", or studies run on the CPU"
_NO_DRIVER = f"mend the NVIDIA driver{_OR_CPU}"
_NO_RAY = (
    "ray.tune can't be imported ({error}); install it with `pip install 'ray[tune]'`, or run "
    "studies with --in-process"
)
_NOT_ASKED = (
    "RAY_AUTH_MODE turns Ray's token authentication off: whoever reaches a cluster's ports can run "
    "code as you; unset it"
)
_NO_HOME = "there is no home folder for Ray's token; set HOME, or RAY_AUTH_TOKEN"
_OPEN = (
    "Ray's token can be read by others ({file.readers}), and whoever has it can run code as you; "
    "type: chmod 600 {file.path}"
)


def _import_error(module: str) -> str | None:
    """Why a library can't be imported; whatever a broken one raises is told, not raised."""
    try:
        importlib.import_module(module)
    except Exception as error:
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {text}"[:_MOST_SAID]
    return None


def torch_part() -> Part:
    """torch: whether it can be imported, the GPUs that it sees, the threads that a run gives it."""
    facts = {"is_importable": False, "threads_per_run": Numerics().threads}
    error = _import_error("torch")
    if error is not None:
        return Part(
            facts=facts,
            problems=(f"torch can't be imported ({error}); install it with `pip install torch`",),
        )
    torch = importlib.import_module("torch")
    with warnings.catch_warnings(action="ignore"):  # it is told below, in one sentence
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = {"version": torch.__version__, "cuda": torch.version.cuda, "seen_gpus": seen}
    return Part(
        facts={
            **facts, **found, "is_importable": True, "threads_otherwise": torch.get_num_threads()
        }
    )  # fmt: skip


def gpu_part(torch: Mapping[str, Any]) -> Part:
    """The GPUs that the driver lists, and why torch (the facts of its part) does not use them."""
    try:
        found = gpus()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = " ".join(str(getattr(error, "stdout", None) or error).split())
        sentence = f"nvidia-smi is there, but does not answer ({said[:_MOST_SAID]}); {_NO_DRIVER}"
        return Part(facts=[], warnings=(sentence,))
    unused = _why_unused(torch) if found and torch["is_importable"] else None
    return Part(
        facts=[_gpu_facts(gpu) for gpu in found],
        warnings=() if unused is None else (unused,),
    )


def _gpu_facts(gpu: Gpu) -> dict[str, Any]:
    modern = gpu.is_ampere_or_later
    return {**asdict(gpu), "has_bf16": modern, "has_tf32": modern}


def _why_unused(torch: Mapping[str, Any]) -> str | None:
    """Why torch uses none of the GPUs that there are."""
    if are_gpus_hidden():
        return f"CUDA_VISIBLE_DEVICES hides all GPUs; unset it{_OR_CPU}"
    if torch["cuda"] is None:
        built = f"torch {torch['version']} is built for CPUs only"
        return f"{built}; install a build with CUDA{_OR_CPU}"
    if torch["seen_gpus"]:
        return None
    sees = f"torch {torch['version']} sees no GPU with its CUDA {torch['cuda']}"
    return f"{sees}; update the NVIDIA driver, or install a torch for an older CUDA"


def ray_part() -> Part:
    """Ray: whether its Tune can be imported, whether clusters ask for a token, who may read it."""
    error = _import_error("ray.tune")
    broken = () if error is None else (_NO_RAY.format(error=error),)
    token = _token_part()
    return Part(
        facts={"is_importable": error is None, **token.facts},
        problems=(*broken, *token.problems),
        warnings=token.warnings,
    )


def _token_part() -> Part:
    is_on = is_authentication_on()
    facts: dict[str, Any] = {"is_authentication_on": is_on, "token": None}
    if not is_on:
        return Part(facts=facts, warnings=(_NOT_ASKED,))
    if is_token_in_environment():
        return Part(facts={**facts, "token": {"path": None, "is_there": True}})
    try:
        file = token_file()
    except RuntimeError:
        return Part(facts=facts, problems=(_NO_HOME,))
    return Part(
        facts={**facts, "token": _token_facts(file)},
        problems=tuple(_token_problems(file)),
        warnings=(_OPEN.format(file=file),) if file.is_there and file.is_open else (),
    )


def _token_facts(file: TokenFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "is_there": file.is_there,
        "mode": None if file.mode is None else f"{file.mode:04o}",
        "readers": file.readers if file.is_there else None,
    }


def _token_problems(file: TokenFile) -> Iterator[str]:
    if file.is_there and not file.is_readable:
        yield (
            f"Ray's token {file.path} can't be read; make it a file that is yours, or move it away "
            "and Ray writes another"
        )
    if file.is_required and not file.is_there:
        yield (
            f"RAY_AUTH_TOKEN_PATH names {file.path}, which is not there; copy the token of the "
            "cluster's head to it, or unset the variable"
        )
