"""Studies as tidy DataFrames: one row per trial, per run, per reported step.

Each frame has its fixed columns (`columns`), whose types are the same whether there is anything in
them or not, then one column per parameter, margin, time and metric that its rows have. A phase's
trials and history are kept as Parquet beside its decision, and read from there as long as they were
made from the plan and the decision that stand.
"""

from phasetune.report.frames.history import history_frame as history_frame
from phasetune.report.frames.runs import runs_frame as runs_frame
from phasetune.report.frames.trials import trials_frame as trials_frame
from phasetune.report.frames.write import write_phase_frames as write_phase_frames
