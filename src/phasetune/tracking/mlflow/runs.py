"""A run as MLflow has it, by its answer and what it was told since, and telling it the rest.

Asking costs as much as telling, so a run is asked for once, or not at all where we have just begun
it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phasetune.tracking.contract import Record, Series, Status
from phasetune.tracking.mlflow.metrics import MOST_IN_A_CALL, batches, milliseconds, next_step
from phasetune.tracking.mlflow.words import (
    LONGEST_PARAM,
    LONGEST_TAG,
    Texts,
    mlflow_name,
    mlflow_texts,
)

_MLFLOW_NAMES = {"git_commit": "mlflow.source.git.commit", "note": "mlflow.note.content"}


@dataclass(kw_only=True)
class KnownRun:
    """What a run has: `metrics` are the last value and step of each. `is_new` where it was begun by
    us and no step was told to it yet.
    """

    run_id: str
    experiment: str
    name: str
    status: str
    ended: int | None
    is_deleted: bool = False
    is_new: bool = False
    params: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, tuple[float, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Any, *, is_new: bool = False) -> "KnownRun":
        """As MLflow answered."""
        return cls(
            run_id=str(run.info.run_id),
            experiment=str(run.info.experiment_id),
            name=run.info.run_name,
            status=run.info.status,
            ended=run.info.end_time,
            is_deleted=run.info.lifecycle_stage == "deleted",
            is_new=is_new,
            params=set(run.data.params),
            tags=dict(run.data.tags),
            metrics={m.key: (m.value, m.step) for m in run.to_proto().data.metrics},
        )

    def set_tag(self, client: Any, name: str, text: str) -> None:
        """Tell it a tag."""
        client.set_tag(self.run_id, name, text)
        self.tags[name] = text


def mlflow_tags(record: Record) -> Texts:
    """A record's tags by MLflow's names."""
    named = {_MLFLOW_NAMES.get(n, f"phasetune.{n}"): text for n, text in record.tags.items()}
    return mlflow_texts(named, longest=LONGEST_TAG)


def tell_series(client: Any, run: KnownRun, series: Sequence[Series]) -> None:
    """Tell steps, in as few calls as MLflow allows."""
    run.is_new = False
    for batch in batches(series):
        client.log_batch(run.run_id, metrics=batch, synchronous=True)


def tell_values(
    client: Any, run: KnownRun, record: Record, series: Sequence[Series]
) -> Mapping[str, str]:
    """Tell steps and whatever of parameters, tags and final metrics the run has not, the last of it
    in one call; returns the texts that were too long for MLflow.
    """
    from mlflow.entities import Metric, Param, RunTag

    run.is_new = False
    params = mlflow_texts(record.params, longest=LONGEST_PARAM)
    tags = mlflow_tags(record)
    finals = _changed_metrics(run, record.metrics)
    names = params.short.keys() - run.params
    texts = {key: text for key, text in tags.short.items() if run.tags.get(key) != text}
    *before, last = [*batches(series)] or [[]]
    if len(last) + len(finals) + len(names) + len(texts) > MOST_IN_A_CALL:
        before, last = [*before, last], []
    for batch in before:
        client.log_batch(run.run_id, metrics=batch, synchronous=True)
    at = milliseconds(record.ended)
    told = [Metric(key, value, at, step) for key, (value, step) in finals.items()]
    client.log_batch(
        run.run_id,
        metrics=[*last, *told],
        params=[Param(key, params.short[key]) for key in sorted(names)],
        tags=[RunTag(key, text) for key, text in texts.items()],
    )
    run.params |= names
    run.tags |= texts
    run.metrics |= finals
    return {**params.whole, **tags.whole}


def _changed_metrics(run: KnownRun, metrics: Mapping[str, float]) -> dict[str, tuple[float, int]]:
    """Final metrics that the run has not, or has otherwise, with their steps."""
    found = {}
    for name, value in metrics.items():
        key = mlflow_name(name)
        step = next_step(run.metrics.get(key), float(value))
        if step is not None:
            found[key] = (float(value), step)
    return found


def tell_status(client: Any, run: KnownRun, record: Record) -> None:
    """Tell its name, and how far it is."""
    if run.name != record.name:
        client.update_run(run.run_id, name=record.name)
        run.name = record.name
    if record.status is Status.RUNNING:
        if run.status != record.status:
            client.update_run(run.run_id, status=str(record.status))
    else:
        ended = run.ended if record.ended is None else milliseconds(record.ended)
        if (run.status, run.ended) != (record.status, ended) or ended is None:
            ended = milliseconds(None) if ended is None else ended
            client.set_terminated(run.run_id, str(record.status), ended)
            run.ended = ended
    run.status = str(record.status)
