"""Identity: a run's key covers all that can change its artifact, and nothing else.

    key = hash(stage, typed parameters, numerics, fingerprints of the data parts it reads,
               seed, fold, code fingerprint, parent's key)

Names, notes, resources, paths and times are not in it. Library versions and the device are the
environment class, which the artifact's manifest holds. The key of a trunk leaves the horizon out
and adds the step, so that any stored trunk at an earlier step may seed a later one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phasetune.stage.canonical import Json, digest
from phasetune.stage.contract import Fold, Stage
from phasetune.study.schema import Numerics

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What all keys of a study have in common; `alone` names a trial that is to share nothing."""

    code: str
    numerics: Numerics
    fingerprints: Mapping[str, str]
    alone: str | None = None

    def key(
        self,
        stage: Stage,
        params: Mapping[str, Json],
        *,
        seed: int,
        fold: Fold | None,
        parent: str | None,
    ) -> str:
        """The key of one run, 32 hexadecimal digits."""
        return digest(
            self._content(stage, params, seed=seed, fold=fold, parent=parent), where=stage.name
        )

    def trunk(
        self,
        stage: Stage,
        params: Mapping[str, Json],
        *,
        horizon: str,
        seed: int,
        fold: Fold | None,
        parent: str | None,
    ) -> str:
        """What runs that differ in their horizon alone have in common, 32 hexadecimal digits."""
        left_out = f"{stage.name}.{horizon}"
        common = {name: value for name, value in params.items() if name != left_out}
        content = self._content(stage, common, seed=seed, fold=fold, parent=parent)
        return digest({**content, "horizon": horizon}, where=stage.name)

    def _content(
        self,
        stage: Stage,
        params: Mapping[str, Json],
        *,
        seed: int,
        fold: Fold | None,
        parent: str | None,
    ) -> dict[str, object]:
        alone = {} if self.alone is None else {"alone": self.alone}
        return {
            "schema": SCHEMA,
            "stage": stage.name,
            "function": stage.function,
            "params": params,
            "numerics": self.numerics.model_dump(),
            "data": {part: self.fingerprints[part] for part in stage.reads},
            "seed": seed,
            "fold": None if fold is None else [fold.index, fold.of, fold.seed],
            "code": self.code,
            "parent": parent,
            **alone,
        }
