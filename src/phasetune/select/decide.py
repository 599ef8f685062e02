"""The decision: who won a phase, by how much, and why the others did not.

The leader has the best mean among eligible and feasible candidates; exact equality goes to file
order, then key. Trials whose paired difference to the leader is within one standard error are
ties: reported, or with `prefer_first` the first of them in file order wins. With one replicate no
noise is claimed, so only exact equality is a tie. Without a feasible candidate the closest one is
named, and `if_infeasible` says what follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from phasetune.errors import SelectionError
from phasetune.select.scores import Summary, TrialScore, paired_difference
from phasetune.select.verdict import Rule, Standing, Verdict, judge


class Outcome(StrEnum):
    """How a phase ended."""

    WON = "won"
    LEAST_VIOLATION = "least_violation"
    KEPT_CARRIED = "kept_carried"
    NONE_FEASIBLE = "none_feasible"
    NONE_ELIGIBLE = "none_eligible"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided from a phase's scores.

    `differences` holds, per feasible candidate but the leader, the paired difference of the
    objective, leader minus trial. `closest` is the infeasible candidate with the least violation,
    where none is feasible.
    """

    outcome: Outcome
    winner: str | None
    leader: str | None
    runner_up: str | None
    ties: tuple[str, ...]
    differences: dict[str, Summary]
    closest: str | None
    verdicts: tuple[Verdict, ...]

    def verdict(self, name: str) -> Verdict:
        return next(verdict for verdict in self.verdicts if verdict.name == name)

    @property
    def baseline(self) -> Verdict | None:
        """The baseline's verdict, where it was evaluated."""
        return next((verdict for verdict in self.verdicts if verdict.score.baseline), None)


def decide(scores: Sequence[TrialScore], rule: Rule) -> Decision:
    """Pick a phase's winner.

    Raises:
        SelectionError: there is no candidate, or candidates have different numbers of replicates.
    """
    _refuse_unfit(scores)
    verdicts = judge(scores, rule)
    candidates = [verdict for verdict in verdicts if verdict.score.candidate]
    feasible = [v for v in candidates if v.standing is Standing.FEASIBLE]
    if not feasible:
        return _without_feasible(verdicts, candidates, rule)
    ranked = sorted(feasible, key=lambda verdict: _rank(verdict, rule))
    leader = ranked[0]
    differences = {v.name: _difference(leader, v, rule) for v in ranked[1:]}
    ties = tuple(name for name, difference in differences.items() if _is_tie(difference))
    return Decision(
        outcome=Outcome.WON,
        winner=_winner(leader, [v for v in ranked if v.name in ties], rule),
        leader=leader.name,
        runner_up=ranked[1].name if len(ranked) > 1 else None,
        ties=ties,
        differences=differences,
        closest=None,
        verdicts=verdicts,
    )


def _refuse_unfit(scores: Sequence[TrialScore]) -> None:
    if not any(score.candidate for score in scores):
        raise SelectionError("a phase needs at least one trial to decide on, but has none")
    counts = {len(score.replicates) for score in scores if score.ineligible is None}
    if len(counts) > 1:
        raise SelectionError(f"trials must have equally many replicates, but have {sorted(counts)}")


def _rank(verdict: Verdict, rule: Rule) -> tuple[float, int, str]:
    mean = verdict.metrics[rule.objective.metric].mean
    return -rule.sign * mean, verdict.score.index, verdict.score.key


def _difference(leader: Verdict, other: Verdict, rule: Rule) -> Summary:
    metric = rule.objective.metric
    return paired_difference(leader.metrics[metric].values, other.metrics[metric].values)


def _is_tie(difference: Summary) -> bool:
    if all(value == 0.0 for value in difference.values):
        return True
    return difference.sem is not None and abs(difference.mean) <= difference.sem


def _winner(leader: Verdict, tied: Sequence[Verdict], rule: Rule) -> str:
    if rule.ties == "prefer_first":
        return min([leader, *tied], key=lambda verdict: verdict.score.index).name
    return leader.name


def _without_feasible(
    verdicts: tuple[Verdict, ...], candidates: Sequence[Verdict], rule: Rule
) -> Decision:
    infeasible = [v for v in candidates if v.standing is Standing.INFEASIBLE]
    closest = min(infeasible, key=lambda v: (v.violation, *_rank(v, rule)), default=None)
    outcome = _outcome_without_feasible(closest, rule)
    takes_closest = outcome is Outcome.LEAST_VIOLATION and closest is not None
    return Decision(
        outcome=outcome,
        winner=closest.name if takes_closest and closest is not None else None,
        leader=None,
        runner_up=None,
        ties=(),
        differences={},
        closest=None if closest is None else closest.name,
        verdicts=verdicts,
    )


def _outcome_without_feasible(closest: Verdict | None, rule: Rule) -> Outcome:
    if closest is None:
        return Outcome.NONE_ELIGIBLE
    return {
        "stop": Outcome.NONE_FEASIBLE,
        "least_violation": Outcome.LEAST_VIOLATION,
        "keep_carried": Outcome.KEPT_CARRIED,
    }[rule.if_infeasible]
