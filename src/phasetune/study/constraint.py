"""Constraints as sentences: `class_1_accuracy >= 0.30`, `accuracy >= 0.95 * baseline`.

The bound itself is feasible, so only `>=` and `<=` exist. A relative bound refers to the same
metric of the study's baseline.
"""

import math
import re
from dataclasses import dataclass

from phasetune.errors import StudyError
from phasetune.study.wording import shown

_LONGEST = 300  # the sentence is searched in a time that grows with its square
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SENTENCE = re.compile(
    rf"""\s*(?P<metric>[A-Za-z_][\w./@-]*)\s*(?P<sign>>=|<=)\s*
    (?:(?P<bound>{_NUMBER})
      |(?:(?P<factor>{_NUMBER})\s*\*\s*)?baseline(?:\s*(?P<offset>[-+]\s*(?:\d+\.?\d*|\.\d+)))?
    )\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """`metric sign (bound + factor * baseline)`; absolute where `factor` is None."""

    text: str
    metric: str
    at_least: bool
    bound: float
    factor: float | None = None

    @property
    def is_relative(self) -> bool:
        return self.factor is not None

    def resolved_bound(self, baseline: float | None) -> float:
        """The number to compare with; NaN where a needed baseline is missing."""
        if self.factor is None:
            return self.bound
        return math.nan if baseline is None else self.bound + self.factor * baseline

    def margin(self, value: float, *, baseline: float | None) -> float:
        """How far a value is on the feasible side: zero on the bound, negative beyond it."""
        bound = self.resolved_bound(baseline)
        return value - bound if self.at_least else bound - value


def parse_constraint(text: str) -> Constraint:
    """Read a sentence.

    Raises:
        StudyError: it is none, with an example of one.
    """
    match = _SENTENCE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise StudyError(
            f"constraint {shown(text)} can't be read; write it as 'class_1_accuracy >= 0.30' or "
            "'accuracy >= 0.95 * baseline' (signs: >=, <=)"
        )
    if match["bound"] is not None and not math.isfinite(float(match["bound"])):
        raise StudyError(f"constraint {shown(text)}: the bound is too large to be a number")
    offset = match["bound"] or (match["offset"] or "0").replace(" ", "")
    factor = None if match["bound"] is not None else float(match["factor"] or 1.0)
    return Constraint(
        text=" ".join(text.split()),
        metric=match["metric"],
        at_least=match["sign"] == ">=",
        bound=float(offset),
        factor=factor,
    )
