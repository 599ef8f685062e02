"""A count that depends on who wins: the least and the most over all combinations of winners."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Span:
    """The least and the most over all combinations of winners."""

    low: int
    high: int

    @classmethod
    def of(cls, counts: Iterable[int]) -> "Span":
        """The span of some counts, at least one."""
        found = list(counts)
        return cls(low=min(found), high=max(found))

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"
