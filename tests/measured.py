"""The scripted workload as a classifier would be measured: its score is an accuracy as well."""

from typing import Any

import scripted
from phasetune import Stage, StageContext
from scripted import Data as Data
from scripted import Script

STAGES = tuple(
    Stage(
        name=stage.name,
        params=Script,
        function=f"measured:{stage.name}",
        reads=stage.reads,
    )
    for stage in scripted.STAGES
)


def prepare(ctx: StageContext, params: Script) -> dict[str, Any]:
    return measured(ctx, params)


def train(ctx: StageContext, params: Script) -> dict[str, Any]:
    return measured(ctx, params)


def test(ctx: StageContext, params: Script) -> dict[str, Any]:
    return measured(ctx, params)


def measured(ctx: StageContext, params: Script) -> dict[str, Any]:
    found = scripted.follow(ctx, params)
    return {**found, "accuracy": found["score"]} if found else found
