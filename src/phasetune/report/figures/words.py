"""What a figure shows, in a sentence or two: made of the numbers that it is drawn from."""

import math

import pandas as pd

from phasetune.report.figures.phase import TAKEN
from phasetune.report.figures.pretraining import MOST_TRUNKS
from phasetune.report.figures.record import FINAL
from phasetune.report.figures.sharing import TIMES, told_counts, told_times
from phasetune.report.figures.style import counted
from phasetune.report.figures.tree import run_counts_text
from phasetune.report.numbers import short_number_text


def phase_caption(points: pd.DataFrame) -> str:
    """Who won by which score, what is tied or infeasible, and how to read the marks."""
    trials = points.drop_duplicates("trial")
    objective = trials[trials["metric"] == trials["metric"].iloc[0]]
    winner = objective[objective["is_winner"]]
    first = "No trial won." if winner.empty else _winner_sentence(winner.iloc[0], len(objective))
    replicates = int(points["replicate"].max()) + 1
    marks = "Dots: means; bars: ± one standard error; pale dots: replicates."
    if replicates == 1:
        marks = "Dots: one replicate each."
    return " ".join([first, *_standing_sentences(trials), marks, *_limit_sentences(points)])


def _winner_sentence(winner: pd.Series, count: int) -> str:
    if winner["word"] == TAKEN:
        return (
            f"No trial meets the constraints; {winner['trial']} came closest and was taken, with "
            f"{winner['metric']} {_score(winner)}."
        )
    of = "as the only trial" if count == 1 else f"among {count:,} trials"
    return f"{winner['trial']} wins {of} with {winner['metric']} {_score(winner)}."


def _score(trial: pd.Series) -> str:
    mean, sem = float(trial["mean"]), float(trial["sem"])
    return f"{mean:.4f}" if math.isnan(sem) else f"{mean:.4f} ± {sem:.4f}"


def _standing_sentences(trials: pd.DataFrame) -> list[str]:
    told = {
        "tied": "within noise of it",
        "infeasible": "infeasible, drawn hollow",
        "ineligible": "could not be judged",
    }
    counts = trials["word"].value_counts()
    parts = [f"{counts[word]:,} {text}" for word, text in told.items() if word in counts]
    return [f"Of the others: {'; '.join(parts)}."] if parts else []


def _limit_sentences(points: pd.DataFrame) -> list[str]:
    has_limit = points[["lower_bound", "upper_bound"]].notna().any(axis=None)
    return ["Shaded: what a constraint forbids."] if has_limit else []


def curves_caption(curves: pd.DataFrame) -> str:
    """What is drawn, and what the dotted ends are where there are some."""
    metric, phases = curves["metric"].iloc[0], curves["phase"].nunique()
    has_bands = bool(curves["sem"].notna().any())
    has_winner = bool(curves.loc[curves["sem"].notna(), "is_winner"].any())
    band = ", the winner's with a band of one standard error" if has_winner else ""
    curve = "mean over replicates" if has_bands else "one line per trial"
    text = f"{metric} by step, {curve}{band}, in {counted(phases, 'phase')}."
    longest = curves.groupby(["phase", "trial"])["replicates"].transform("max")
    if (curves["replicates"] < longest).any():
        text += " Dotted ends are means of those replicates that had not stopped yet."
    return text


def pretraining_caption(curves: pd.DataFrame) -> str:
    """How many runs there are, and how many steps they share."""
    runs = curves.drop_duplicates("key")
    trunks = runs["trunk"].nunique()
    alone = int(runs["last_step"].sum())
    longest = runs.groupby("trunk")["branch_step"].max().sum()
    together = int(longest + (runs["last_step"] - runs["branch_step"]).sum())
    steps = f"{together:,} steps" + (f" instead of {alone:,}" if alone > together else "")
    shared = f"{counted(len(runs), 'run')} along {counted(trunks, 'shared training')}: {steps}."
    left_out = f" Only {MOST_TRUNKS} of them are drawn." if trunks > MOST_TRUNKS else ""
    return f"{shared} A diamond is where a run leaves the training that it shares.{left_out}"


def confusion_caption(cells: pd.DataFrame) -> str:
    """How many rows are right, and the mistake that is made most often."""
    right = int(cells.loc[cells["true"] == cells["predicted"], "count"].sum())
    total = int(cells["count"].sum())
    text = f"{right:,} of {total:,} rows are taken for what they are."
    wrong = cells[cells["true"] != cells["predicted"]].sort_values("share", ascending=False)
    if len(wrong) and wrong["count"].iloc[0] > 0:
        worst = wrong.iloc[0]
        text += (
            f" The commonest mistake: {worst['share']:.0%} of class {int(worst['true'])} are taken "
            f"for class {int(worst['predicted'])}."
        )
    return text


def timeline_caption(times: pd.DataFrame, costs: pd.DataFrame) -> str:
    """How much was computed, on how many workers, and how much was reused."""
    own = times[~times["is_reused"].astype(bool)]
    computed, reused = costs["computed_minutes"].sum(), costs["reused_minutes"].sum()
    workers = len(own[["host", "device", "lane"]].drop_duplicates())
    text = f"{_time_text(computed)} of computing"
    text += f" on {counted(workers, 'worker')}" if workers else ""
    if reused > 0:
        text += f"; {_time_text(reused)} were not computed again, hatched"
    others = int(times["is_reused"].sum())
    text += f"; {counted(others, 'run')} came from other studies" if others else ""
    return f"{text}."


def _time_text(minutes: float) -> str:
    """`0.04 seconds`, `45 seconds`, `2.5 minutes`, `6.2 hours`."""
    seconds, hours = 60.0 * minutes, minutes / 60.0
    if seconds < 59.5:
        return f"{seconds:.{2 if seconds >= 10 else 1}g} seconds"
    return f"{short_number_text(round(hours, 1))} hours" if hours >= 5 else f"{minutes:.1f} minutes"


def sharing_caption(nodes: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Per stage how many runs there are instead of how many."""
    stages = [
        f"{stage}: {run_counts_text(own)}" for stage, own in nodes.groupby("stage", sort=False)
    ]
    trials = counted(int(rows.loc[rows["phase"] != FINAL, "trials"].sum()), "trial")
    told = [f"For {trials}: {'; '.join(stages)}."]
    if told_counts(nodes):
        told.append("A number in a circle is how many trials use it.")
    if told_times(nodes):
        told.append(f"{TIMES}5 stands for five runs, such as folds.")
    return " ".join(told)
