"""Which checkpoints of a run are kept, and why: a pure decision. No torch here."""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from phasetune.train.settings import Mode


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A checkpoint by its epoch, and what it scored; None where it was not scored."""

    epoch: int
    value: float | None


def kept(
    saved: Sequence[Saved],
    *,
    last: int,
    best: int,
    milestones: Collection[int] = (),
    mode: Mode,
) -> dict[int, tuple[str, ...]]:
    """The epochs whose checkpoints are kept, each with its reasons.

    `last`: the newest ones. `best`: those that scored best, and whatever scored as well as one of
    them (`co-best`), since nobody could say which to drop. `milestone`: named epochs. What did not
    score, or scored NaN, is never best.
    """
    reasons: dict[int, list[str]] = defaultdict(list)
    epochs = sorted({one.epoch for one in saved})
    for epoch in epochs[-last:] if last else []:
        reasons[epoch].append("last")
    for epoch, reason in _best(saved, best, mode):
        reasons[epoch].append(reason)
    for epoch in epochs:
        if epoch in milestones:
            reasons[epoch].append("milestone")
    return {epoch: tuple(reasons[epoch]) for epoch in sorted(reasons)}


def _best(saved: Sequence[Saved], count: int, mode: Mode) -> list[tuple[int, str]]:
    scored = {
        one.epoch: one.value for one in saved if one.value is not None and not math.isnan(one.value)
    }
    ranked = sorted(scored, key=lambda e: (scored[e] if mode == "min" else -scored[e], e))
    values = {scored[epoch] for epoch in ranked[:count]}
    found = [epoch for epoch in ranked if scored[epoch] in values]
    shared = [scored[epoch] for epoch in found]
    return [(e, "co-best" if shared.count(scored[e]) > 1 else "best") for e in found]
