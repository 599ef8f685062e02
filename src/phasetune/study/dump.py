"""A study as a file that can be run again."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from phasetune.study.parameters import Settings, nest
from phasetune.study.schema import Phase, Point, Study


def study_yaml(study: Study, *, beside: Path | None) -> str:
    """The study as YAML; import folders relative to the folder `beside`, or absolute."""
    content = study.model_dump(mode="json", exclude_unset=True)
    folders = study.import_from
    if beside is not None:
        folders = tuple(os.path.relpath(folder, beside.resolve()) for folder in folders)
    content["import_from"] = list(folders)
    return yaml_text({name: content[name] for name in Study.model_fields if name in content})


def yaml_text(content: Mapping[str, Any]) -> str:
    """Block-style YAML in the given order of keys."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 100
    writer.representer.ignore_aliases = lambda _: True  # reading refuses aliases
    stream = io.StringIO()
    writer.dump(dict(content), stream)
    return stream.getvalue()


def best_study(study: Study, settings: Settings) -> Study:
    """A study of one trial: the final settings, with everything else as it was.

    Its runs have the keys that they had in the study, so nothing is computed twice.
    """
    kept = study.model_dump(mode="json", exclude_unset=True, exclude={"baseline"})
    return Study.model_validate(
        {
            **kept,
            "name": f"{study.name[:95]}-best",
            "description": f"The final settings of the study {study.name}.",
            "params": nest(settings),
            "phases": [
                Phase(name="best", points=(Point(),)).model_dump(mode="json", exclude_none=True)
            ],
            "constraints": [rule.text for rule in study.rules if not rule.is_relative],
        }
    )
