"""Parameters of all stages as one flat mapping of dotted names, coerced through their types.

A *setting* is complete: every parameter of every stage has its value. Two settings that mean the
same are equal, since each value went through the type that its stage declares.
"""

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError

from phasetune.errors import PlanError
from phasetune.stage.canonical import Json, canonical, restored
from phasetune.stage.contract import Stage
from phasetune.study.problems import dotted, suggestion, validation_messages
from phasetune.study.reading import KeyPath
from phasetune.study.wording import shown

Settings: TypeAlias = Mapping[str, Json]
Problem: TypeAlias = tuple[KeyPath, str]


def known_parameters(stages: Iterable[Stage]) -> tuple[str, ...]:
    """Every dotted name that a point may set, such as `finetune.num_heads`."""
    return tuple(f"{stage.name}.{name}" for stage in stages for name in _field_names(stage.params))


def _field_names(model_type: type[BaseModel]) -> Iterable[str]:
    for name, field in model_type.model_fields.items():
        inner = _nested_model(field.annotation)
        yield name
        if inner is not None:
            yield from (f"{name}.{below}" for below in _field_names(inner))


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    """The model that a field itself is, as in `Optimizer` or `Optimizer | None`."""
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    models = [option for option in options if option is not type(None)]
    only = models[0] if len(models) == 1 else None
    return only if isinstance(only, type) and issubclass(only, BaseModel) else None


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def set_parameter(nested: dict[str, Any], name: str, value: Any) -> None:
    """Set a dotted name in nested settings, replacing what stood there."""
    *around, last = name.split(".")
    for part in around:
        inner = nested.get(part)
        nested[part] = dict(inner) if isinstance(inner, Mapping) else {}
        nested = nested[part]
    nested[last] = value


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """From dotted names to one mapping per stage; canonical values become what they stand for."""
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        set_parameter(nested, name, restored(value))
    return nested


def flatten(models: Mapping[str, BaseModel]) -> dict[str, Json]:
    """From typed parameters to a complete setting.

    Raises:
        PlanError: a value has no stable writing.
    """
    flat: dict[str, Json] = {}
    for stage, model in models.items():
        _flatten_into(flat, stage, model)
    return flat


def _flatten_into(flat: dict[str, Json], prefix: str, model: BaseModel) -> None:
    for name in type(model).model_fields:
        value, path = getattr(model, name), f"{prefix}.{name}"
        if isinstance(value, BaseModel):
            _flatten_into(flat, path, value)
        else:
            flat[path] = canonical(_plain(value), where=f"params.{path}")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="python")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def typed_stage(stage: Stage, values: object) -> tuple[BaseModel | None, list[Problem]]:
    """Type one stage's values; problems have paths below the stage.

    Text never becomes a number and a switch never becomes one: what looks like the wrong type is.
    """
    if not isinstance(values, Mapping):
        return None, [((), f"must be a mapping of parameters, but is {shown(values)}")]
    problems = list(unknown_problems(stage.params, values, f"is no parameter of {stage.name!r}"))
    known = {name: value for name, value in values.items() if name in stage.params.model_fields}
    try:
        model = stage.params.model_validate(known)
    except ValidationError as error:
        found = validation_messages(error, stage.params)
        wrong = {path[0] for path, _ in found if path}
        right = {name: value for name, value in known.items() if name not in wrong}
        return None, [*problems, *found, *_kind_problems_apart(stage.params, right)]
    problems += kind_problems((), known, model.model_dump(mode="python"))
    return (None if problems else model), problems


def _kind_problems_apart(
    model_type: type[BaseModel], values: Mapping[str, Any]
) -> Iterable[Problem]:
    """Kinds of values whose model is wrong elsewhere, each typed by itself."""
    for name, value in values.items():
        try:
            annotation: Any = model_type.model_fields[name].annotation
            typed = TypeAdapter(annotation).validate_python(value)
        except (ValidationError, PydanticUserError):
            continue
        yield from kind_problems((name,), value, _plain(typed))


def unknown_problems(
    model_type: type[BaseModel], values: Mapping[str, Any], message: str
) -> Iterable[Problem]:
    """Names that a type does not have, also where the type itself would pass over them."""
    for name, value in values.items():
        field = model_type.model_fields.get(name)
        if field is None:
            yield (name,), message + suggestion(name, model_type.model_fields)
            continue
        inner = _nested_model(field.annotation)
        if inner is not None and isinstance(value, Mapping):
            for path, problem in unknown_problems(inner, value, message):
                yield (name, *path), problem


def kind_problems(path: KeyPath, given: Any, typed: Any) -> Iterable[Problem]:
    """Where typing silently turned text or a switch into a number, or the other way round."""
    if isinstance(given, Mapping) and isinstance(typed, Mapping):
        for key in given:
            if key in typed:
                yield from kind_problems((*path, key), given[key], typed[key])
    elif isinstance(given, list | tuple) and isinstance(typed, list | tuple):
        for i, (one, other) in enumerate(zip(given, typed, strict=False)):
            yield from kind_problems((*path, i), one, other)
    elif _kind(given) != _kind(typed) and isinstance(typed, bool | int | float):
        yield path, f"must be a {_kind(typed)}, but is {shown(given)}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "switch (true or false)"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__


def typed_settings(stages: Iterable[Stage], settings: Mapping[str, Any]) -> dict[str, BaseModel]:
    """Type a complete setting.

    Raises:
        PlanError: every parameter that is not what its stage declares.
    """
    nested = nest(settings)
    models: dict[str, BaseModel] = {}
    problems: list[str] = []
    for stage in stages:
        model, found = typed_stage(stage, nested.get(stage.name, {}))
        problems += [f"{dotted((stage.name, *path))}: {message}" for path, message in found]
        if model is not None:
            models[stage.name] = model
    if problems:
        raise PlanError(problems)
    return models
