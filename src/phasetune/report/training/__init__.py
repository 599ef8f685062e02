"""Training reports: of a run of a study, or of what a person's own loop kept."""

from phasetune.report.training.lists import kfold_report, training_report
from phasetune.report.training.runs import write_run_report

__all__ = ["kfold_report", "training_report", "write_run_report"]
