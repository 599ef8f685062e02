"""What a study asks, held against what its workload declares.

Works on plain values, so that a file whose schema is wrong in one place is still checked in all
others: a person mends everything at once.
"""

import re
import string
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from phasetune.stage.contract import TEST_PART, Stage
from phasetune.stage.resolve import ResolvedWorkload
from phasetune.study.parameters import (
    Problem,
    kind_problems,
    known_parameters,
    nest,
    set_parameter,
    typed_stage,
    unknown_problems,
)
from phasetune.study.problems import dotted, suggestion, validation_messages
from phasetune.study.reading import KeyPath
from phasetune.study.wording import shown

ABOUT_A_POINT = ("note", "expect")


def workload_problems(workload: ResolvedWorkload, content: Mapping[str, Any]) -> list[Problem]:
    """Everything in a study's content that its workload does not know or allow."""
    return [
        *_data_problems(workload, content.get("data", {})),
        *_base_problems(workload, content),
        *_points_problems(workload, content),
        *_protocol_problems(workload, content),
    ]


def _data_problems(workload: ResolvedWorkload, data: Any) -> Iterable[Problem]:
    if not isinstance(data, Mapping):
        return
    try:
        typed = workload.data_type.model_validate(data)
        problems = list(kind_problems((), data, typed.model_dump(mode="python")))
    except ValidationError as error:
        problems = validation_messages(error, workload.data_type)
    if "extra" not in workload.data_type.model_config:
        problems += unknown_problems(workload.data_type, data, "is not known")
    for path, message in problems:
        yield ("data", *path), message


def _base_problems(workload: ResolvedWorkload, content: Mapping[str, Any]) -> Iterable[Problem]:
    params = content.get("params", {})
    if not isinstance(params, Mapping):
        return
    names = [stage.name for stage in workload.stages]
    for name in params:
        if name not in names:
            yield ("params", name), f"the workload has no such stage{suggestion(name, names)}"
    start, lacking = _start(content)
    for stage in workload.stages:
        values = start.get(stage.name, {})
        if not isinstance(values, Mapping):
            continue  # refused by the schema
        for path, message in typed_stage(stage, values)[1]:
            around = (dotted((stage.name, *path[:length])) for length in range(len(path) + 1))
            if lacking.isdisjoint(around):
                yield ("params", stage.name, *path), message


def _start(content: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The base parameters, filled with what they leave to the first phase; the names of that."""
    params = content.get("params", {})
    start = dict(params) if isinstance(params, Mapping) else {}
    lacking: set[str] = set()
    for name, first_values in _varied_from_the_start(content).items():
        if _gives(start, name):
            continue
        lacking.add(name)
        for value in first_values:
            set_parameter(start, name, value)
    return start, lacking


def _gives(params: Any, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(params, Mapping):
            return True  # something else stands around it, which is wrong by itself
        if part not in params:
            return False
        params = params[part]
    return True


def _varied_from_the_start(content: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Parameters that every point of the first phase sets: the base may lack them.

    Not where the base itself may be carried on (`if_infeasible: keep_carried`).
    """
    if content.get("if_infeasible") == "keep_carried":
        return {}
    phases = content.get("phases")
    if not isinstance(phases, list | tuple) or not phases or not isinstance(phases[0], Mapping):
        return {}
    grid, points = phases[0].get("grid"), phases[0].get("points")
    if isinstance(grid, Mapping):
        axes = {n: axis if isinstance(axis, list | tuple) else () for n, axis in grid.items()}
        return {name: list(axis[:1]) for name, axis in axes.items()}
    if isinstance(points, list | tuple) and points and all(isinstance(p, Mapping) for p in points):
        shared = set.intersection(*(set(point) for point in points))
        return {name: [points[0][name]] for name in points[0] if name in shared}
    return {}


def _points_problems(workload: ResolvedWorkload, content: Mapping[str, Any]) -> Iterable[Problem]:
    values = _Values(workload, _start(content)[0])
    baseline = content.get("baseline")
    if isinstance(baseline, Mapping):
        yield from values.point_problems(("baseline",), baseline)
    phases = content.get("phases", ())
    for i, phase in enumerate(phases if isinstance(phases, list | tuple) else ()):
        if isinstance(phase, Mapping):
            yield from _phase_problems(values, ("phases", i), phase)


def _phase_problems(
    values: "_Values", path: KeyPath, phase: Mapping[str, Any]
) -> Iterable[Problem]:
    grid, points = phase.get("grid"), phase.get("points")
    if isinstance(grid, Mapping):
        for name, axis in grid.items():
            options = axis if isinstance(axis, list | tuple) else ()
            yield from values.axis_problems((*path, "grid", name), name, options)
    for i, point in enumerate(points if isinstance(points, list | tuple) else ()):
        if isinstance(point, Mapping):
            yield from values.point_problems((*path, "points", i), point, about=ABOUT_A_POINT)
    template = phase.get("trial_name")
    if isinstance(template, str):
        yield from _template_problems((*path, "trial_name"), template, values.single)


class _Values:
    """Single values of points, each typed on top of the parameters of the start."""

    def __init__(self, workload: ResolvedWorkload, params: dict[str, Any]) -> None:
        self.known = known_parameters(workload.stages)
        self.single = tuple(
            name for name in self.known if not any(o.startswith(f"{name}.") for o in self.known)
        )
        self._stages: dict[str, Stage] = {stage.name: stage for stage in workload.stages}
        self._params = params

    def point_problems(
        self, path: KeyPath, point: Mapping[str, Any], *, about: tuple[str, ...] = ()
    ) -> Iterable[Problem]:
        for name, value in point.items():
            if name not in about:
                yield from self._value_problems((*path, name), name, value, about=about)

    def axis_problems(self, path: KeyPath, name: str, options: Any) -> Iterable[Problem]:
        if name not in self.known:
            yield path, self._unknown(name)
            return
        for i, value in enumerate(options):
            yield from self._value_problems((*path, i), name, value)

    def _unknown(self, name: str, about: tuple[str, ...] = ()) -> str:
        return f"is no parameter of the workload{suggestion(name, (*self.known, *about))}"

    def _value_problems(
        self, path: KeyPath, name: str, value: Any, *, about: tuple[str, ...] = ()
    ) -> Iterable[Problem]:
        if name not in self.known:
            yield path, self._unknown(name, about)
            return
        stage, *field = name.split(".")
        given = self._params.get(stage, {})
        nested = nest({stage: dict(given) if isinstance(given, Mapping) else {}})
        set_parameter(nested, name, value)
        for found, message in typed_stage(self._stages[stage], nested[stage])[1]:
            if found[: len(field)] == tuple(field):
                yield (*path, *found[len(field) :]), message


def _template_problems(path: KeyPath, template: str, known: tuple[str, ...]) -> Iterable[Problem]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        yield path, f"{shown(template)} is no template: {error}"
        return
    for _, name, spec, _ in parts:
        if name is not None and name not in known:
            yield path, f"{{{name}}} is no parameter of the workload{suggestion(name, known)}"
        if spec and "{" in spec:
            yield path, f"{{{name}:{spec}}} must not have fields inside its format"
        if any(len(digits) > 2 for digits in re.findall(r"\d+", spec or "")):
            yield path, f"{{{name}:{spec}}} must not be wider or more precise than 99 characters"


def _protocol_problems(workload: ResolvedWorkload, content: Mapping[str, Any]) -> Iterable[Problem]:
    replicates, objective = content.get("replicates"), content.get("objective")
    repeated = isinstance(replicates, Mapping) and any(
        isinstance(count, int) and count > 1 for count in replicates.values()
    )
    if repeated and not workload.replicated:
        yield ("replicates",), "no stage of the workload reads 'train', so nothing is repeated"
    on_test = isinstance(objective, Mapping) and objective.get("on") == "test"
    if on_test and not workload.test_stages:
        yield (
            ("objective", "on"),
            f"no stage of the workload reads {TEST_PART!r}; use 'validation'",
        )
