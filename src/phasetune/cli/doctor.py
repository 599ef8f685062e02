"""The command `phasetune doctor`: what this machine offers a study, and what is wrong with it."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from phasetune.cli.data import DebugOption

_WIDEST = 100
_SYSTEM = ("python", "platform")


def doctor(
    results: Annotated[
        str, typer.Option("--results", metavar="DIR|URI", help="Where results lie, or would lie.")
    ] = "results",
    tracking: Annotated[
        str | None,
        typer.Option(
            "--tracking",
            metavar="URI",
            help="The MLflow tracking store to ask; default: MLFLOW_TRACKING_URI, else mlflow.db "
            "in the results.",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="ADDR",
            help="Look at the Ray cluster at HOST:PORT, or auto, as well.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    debug: DebugOption = False,
) -> None:
    """Show what this machine offers a study, and what is wrong with it."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.run.doctor.visit import doctor as examine
        from phasetune.store.documents import document_text

        found = examine(results, tracking, address)
        if as_json:
            typer.echo(document_text(found), nl=False)
        else:
            print_doctor(found)
        raise typer.Exit(0 if found["is_usable"] else 1)


def print_doctor(found: Mapping[str, Any]) -> None:
    """Print what was found for people: a line for each part, then what is wrong."""
    for title, text in _lines(found):
        _print(f"{title}: {text}")
    for sentence in found["warnings"]:
        _print(f"warning: {sentence}")
    for sentence in found["problems"]:
        _print(f"error: {sentence}", err=True)
    if found["is_usable"]:
        _print("Studies can run here.")


def _print(text: str, *, err: bool = False) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    typer.echo(textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False), err=err)


def _lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "processor", _processor(found["processor"])
    yield "memory", _room(found["memory"])
    yield from _gpus(found["gpus"])
    yield "threads", _threads(found["torch"])
    yield "versions", _versions(found["versions"])
    yield from _disks(found["disks"])
    yield "Ray", _ray(found["ray"])
    yield "tracking", f"{found['tracking']['uri']} {_state(found['tracking'])}"
    yield "loader", _loader(found["loader"])
    for node in found.get("cluster", {"nodes": []})["nodes"]:
        yield f"node {node['name']}", _node(node)


def _processor(facts: Mapping[str, Any]) -> str:
    bf16 = "bf16 in matrix units" if facts["has_bf16"] else "no bf16"
    usable = f"{facts['usable_cores']:g} of {facts['cores']} cores for this process"
    return f"{facts['model']}, {usable}, {bf16}"


def _room(facts: Mapping[str, Any]) -> str:
    from phasetune.store.space import size_text

    total, free = facts["total_bytes"], facts["free_bytes"]
    if total is None:
        return "memory unknown"
    return size_text(total) if free is None else f"{size_text(free)} of {size_text(total)} free"


def _gpus(gpus: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    if not gpus:
        yield "GPU", "none"
    for number, gpu in enumerate(gpus):
        kinds = [name for name in ("bf16", "tf32") if gpu[f"has_{name}"]]
        numbers = " and ".join(kinds).replace("tf32", "TF32") or "no bf16, no TF32"
        capability = gpu["compute_capability"] or "unknown"
        about = f"{_room(gpu)}, compute capability {capability}, {numbers}"
        yield f"GPU {number}", f"{gpu['name']}, {about}"


def _threads(torch: Mapping[str, Any]) -> str:
    a_run = f"{torch['threads_per_run']} per run (numerics.threads of a study)"
    if not torch["is_importable"]:
        return a_run
    return f"{a_run}; torch alone would take {torch['threads_otherwise']}"


def _versions(versions: Mapping[str, str | None]) -> str:
    names = (*_SYSTEM, *(name for name in versions if name not in _SYSTEM))
    return ", ".join(f"{name} {versions[name] or 'not installed'}" for name in names)


def _disks(disks: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    from phasetune.store.space import size_text

    for use, facts in disks.items():
        if "free_bytes" not in facts:
            continue  # its error says why
        mark = size_text(facts["pruned_harder_below_bytes"])
        below = f"; below {mark} checkpoints are pruned harder" if use == "results" else ""
        mirrors = f", the mirror of {facts['uri']}, which can be written" if "uri" in facts else ""
        yield f"disk, {use}", f"{_room(facts)} at {facts['path']}{mirrors}{below}"


def _ray(ray: Mapping[str, Any]) -> str:
    if not ray["is_importable"]:
        return "can't be imported"
    if not ray["is_authentication_on"]:
        return "ready; token authentication is off"
    return f"ready; token authentication is on, {_token(ray['token'])}"


def _node(node: Mapping[str, Any]) -> str:
    versions = ", ".join(
        f"{name} {node['versions'][name]}"
        for name in ("python", "phasetune", "ray", "torch")
        if name in node["versions"]
    )
    state = "lacks something, see below" if node["lacks"] else "fit for runs"
    return f"{node['cpus']:g} CPU and {node['gpus']:g} GPU, {versions or 'no versions'}; {state}"


def _token(token: Mapping[str, Any] | None) -> str:
    if token is None:
        return "but there is no place for a token"
    if token["path"] is None:
        return "the token is in the environment"
    if not token["is_there"]:
        return f"the token {token['path']} is not there yet: Ray writes it"
    return f"the token {token['path']} ({token['mode']}) is for {token['readers']}"


def _state(tracking: Mapping[str, Any]) -> str:
    is_there = tracking["state"] != "not there yet"
    return tracking["state"] if is_there else "is not there yet"


def _loader(loader: Mapping[str, Any]) -> str:
    settings = (f"{name}={value}" for name, value in loader.items() if name != "device")
    return f"on {loader['device']}: {', '.join(settings)}"
