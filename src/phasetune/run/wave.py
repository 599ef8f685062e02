"""From the runs of a wave to what workers need to execute them."""

from collections.abc import Sequence
from pathlib import Path

from phasetune.plan.trial import Run, Trial
from phasetune.run.labels import run_labels, run_points, run_settings
from phasetune.run.request import RunRequest, WorkloadRequest
from phasetune.store.paths import ResultsPaths
from phasetune.study.load import LoadedStudy, import_folders
from phasetune.study.resources import AUTO


def wave_requests(
    loaded: LoadedStudy,
    wave: Sequence[Run],
    trials: Sequence[Trial],
    *,
    paths: ResultsPaths,
    attempt: Path,
) -> list[RunRequest]:
    """One request per run of the wave; each belongs to one of the trials."""
    study, workload = loaded.study, _workload_request(loaded)
    points, labels = run_points(trials), run_labels(trials)
    stages = {run.key: run.stage for trial in trials for run in trial.runs}
    settings = run_settings(trials) if study.resources_per_trial.gpu == AUTO else {}
    return [
        RunRequest(
            run=run,
            parent_stage=None if run.parent is None else stages[run.parent],
            label=labels[run.key],
            point=points[run.key],
            workload=workload,
            results=paths.root,
            study=study.name,
            attempt=attempt,
            stall_timeout_seconds=study.stall_timeout_seconds,
            uri=paths.uri,
            settings=settings.get(run.key, {}),
        )
        for run in wave
    ]


def _workload_request(loaded: LoadedStudy) -> WorkloadRequest:
    study = loaded.study
    return WorkloadRequest(
        path=study.workload,
        sources=study.sources,
        folders=import_folders(study),
        code=loaded.workload.code,
        data=study.data,
        numerics=study.numerics,
        working_directory=str(Path.cwd()),
    )
