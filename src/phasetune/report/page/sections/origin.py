"""The sections that tell where the result comes from: all settings, then provenance."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from phasetune.report.page.sections.blocks import (
    Block,
    Column,
    Facts,
    Paragraph,
    Row,
    Section,
    Table,
    count_text,
    duration_text,
    value_words,
)
from phasetune.report.page.sections.records import axes, candidates
from phasetune.store.masking import masked, masked_arguments, masked_content

Report = Mapping[str, Any]


def chosen_parameters(report: Report) -> dict[str, str]:
    """The parameters that trials differed in, and the last phase that decided on each."""
    found: dict[str, str] = {}
    for record in report["phases"]:
        if record["winner"] is not None:
            found |= dict.fromkeys(axes(candidates(record)), record["phase"])
    return found


def settings_section(report: Report) -> Section | None:
    """Every final setting and where it comes from; those at their defaults are closed at first."""
    recommended = report["final_recommendation"]
    if recommended is None:
        return None
    settings, chosen = masked_content(recommended["settings"]), chosen_parameters(report)
    given = {f"{s}.{name}" for s, params in report["study"]["params"].items() for name in params}
    told: list[tuple[str, str]] = []
    defaults: list[tuple[str, str]] = []
    for name in sorted(settings):
        origin = _origin(name, chosen, given)
        (told if origin else defaults).append((name, origin or "default"))
    blocks: list[Block] = [
        Paragraph(text="best.yaml holds all of these as a study that runs again.")
    ]
    blocks.append(_settings_table("Final settings", told, settings))
    if defaults:
        folded = f"{count_text(len(defaults), 'more setting')} at their defaults"
        blocks.append(_settings_table("Settings at their defaults", defaults, settings, folded))
    return Section(anchor="settings", title="Final settings", blocks=tuple(blocks))


def _origin(name: str, chosen: Mapping[str, str], given: Iterable[str]) -> str:
    phase = next((phase for axis, phase in chosen.items() if _is_of(name, axis)), None)
    if phase is not None:
        return f"chosen in phase {phase}"
    return "given in the study" if any(_is_of(name, entry) for entry in given) else ""


def _is_of(name: str, parameter: str) -> bool:
    return name == parameter or name.startswith(f"{parameter}.")


def _settings_table(
    title: str,
    told: Sequence[tuple[str, str]],
    settings: Mapping[str, Any],
    folded: str | None = None,
) -> Table:
    return Table(
        title=title,
        columns=(
            Column(title="Parameter"),
            Column(title="Value"),
            Column(title="Origin"),
        ),
        rows=tuple(
            Row(
                cells=(name, value_words(settings[name]), origin),
                is_marked=origin.startswith("chosen"),
            )
            for name, origin in told
        ),
        folded=folded,
    )


def provenance_section(report: Report, invocations: Sequence[Mapping[str, Any]]) -> Section:
    """Data, code, software, machines, and the commands that computed something."""
    environments = [e for record in report["phases"] for e in record["environments"]]
    facts = tuple(pair for pair in _facts(report, environments, invocations) if pair[1])
    blocks: list[Block] = [Facts(pairs=facts)]
    if invocations:
        blocks.append(_commands(invocations))
    return Section(anchor="provenance", title="Provenance", blocks=tuple(blocks))


def _facts(
    report: Report,
    environments: Sequence[Mapping[str, Any]],
    invocations: Sequence[Mapping[str, Any]],
) -> Iterable[tuple[str, str]]:
    study = report["study"]
    yield "Workload", study["workload"]
    yield "Seed", str(study["seed"])
    yield "Data", _pairs(study["data"])
    for text in _distinct(_lines(call.get("data")) for call in invocations):
        yield "Data fingerprints", text
    for text in _distinct(_pairs(call.get("software")) for call in invocations):
        yield "Software", text
    yield "Code fingerprint", ", ".join(_distinct(str(call.get("code")) for call in invocations))
    yield "Commit", ", ".join(_distinct(_commit(call.get("git")) for call in invocations))
    yield "Hosts", ", ".join(_distinct(str(call.get("host")) for call in invocations))
    for text in _distinct(_environment(environment) for environment in environments):
        yield "Environment class", text


def _environment(environment: Mapping[str, Any]) -> str:
    """Device, precision and the like, then versions."""
    own = {name: value for name, value in environment.items() if name != "libraries"}
    return ", ".join(filter(None, (_pairs(own), _pairs(environment.get("libraries")))))


def _commit(git: Any) -> str:
    if not isinstance(git, Mapping):
        return "outside a repository"
    return f"{git.get('commit')}{' with changes' if git.get('dirty') else ''}"


def _pairs(content: Any) -> str:
    found = content if isinstance(content, Mapping) else {}
    return ", ".join(f"{k} {value_words(v)}" for k, v in found.items() if v is not None)


def _lines(fingerprints: Any) -> str:
    found = fingerprints if isinstance(fingerprints, Mapping) else {}
    return "; ".join(f"{part}: {value_words(value)}" for part, value in found.items())


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _commands(invocations: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        title="Commands that computed something",
        columns=(
            Column(title="Started"),
            Column(title="Took", is_number=True),
            Column(title="Command"),
            Column(title="Backend"),
            Column(title="Executed", is_number=True),
        ),
        rows=tuple(Row(cells=_command_cells(call)) for call in invocations),
    )


def _command_cells(call: Mapping[str, Any]) -> tuple[str, ...]:
    arguments = [str(argument) for argument in _list(call.get("command"))]
    started, ended = _time(call.get("started")), _time(call.get("ended"))
    return (
        "" if started is None else f"{started:%Y-%m-%d %H:%M} UTC",
        _took(started, ended),
        masked(shlex.join(masked_arguments(arguments))),
        str(call.get("backend", "")),
        str(len(_list(call.get("executed")))),
    )


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _took(started: datetime | None, ended: datetime | None) -> str:
    if started is None or ended is None:
        return ""
    return duration_text((ended - started).total_seconds())


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return None
