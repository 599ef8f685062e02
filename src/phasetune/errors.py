"""What can be the user's mistake, as exceptions whose text is the whole message.

A message is one sentence per problem: what, where, which value, the way out. Anything that is
not one of these is a bug and flies.
"""

from collections.abc import Sequence


class PhasetuneError(Exception):
    """A mistake that the user can mend; `problems` holds one sentence each."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["PhasetuneError"], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class StudyError(PhasetuneError):
    """The study, its workload's contract or its data block is not what it must be."""


class PlanError(PhasetuneError):
    """The study is well formed, but no plan follows from it."""


class StageError(PhasetuneError):
    """A stage broke the contract: it returned or reported what is no metric."""


class SelectionError(PhasetuneError):
    """No decision follows from the scores and the rule."""


class StoreError(PhasetuneError):
    """What lies in the results is not what was written there, or can't be written."""
