"""What each run asks of a machine, and how many run at once, in a sentence."""

from collections.abc import Sequence

from phasetune.stage.contract import Stage
from phasetune.study.resources import AUTO, Resources
from phasetune.study.schema import Study


def takes(study: Study, stages: Sequence[Stage]) -> str:
    """What runs ask for; how much of it there is, is not known before they are executed."""
    asked, cpus = study.resources_per_trial, _cpus(study)
    without = [stage.name for stage in stages if not stage.uses_gpu]
    uses_gpu = len(without) < len(stages) and asked.gpu != 0
    first = _of_gpus(asked, cpus) if uses_gpu else cpus
    more = (
        f"; {', '.join(without)} take{_s(without)} {cpus} and no GPU"
        if uses_gpu and without
        else ""
    )
    most = study.max_concurrent_trials
    at_once = "" if most is None else f"; at most {most} at once"
    return f"Each run takes {first}{_where(asked, uses_gpu=uses_gpu)}{more}{at_once}."


def _cpus(study: Study) -> str:
    return _counted(study.resources_per_trial.cpu or study.numerics.threads, "CPU")


def _of_gpus(asked: Resources, cpus: str) -> str:
    if asked.gpu is None:
        return f"one GPU where there are any, else {cpus}"
    if asked.gpu == AUTO:
        return f"the part of a GPU that the largest is measured to need, without GPUs {cpus}"
    if asked.gpu < 1:
        most = "" if asked.cpu is None else "at most "  # CPUs may be fewer
        return f"{asked.gpu:g} of a GPU, so that {most}{int(1 / asked.gpu + 1e-6)} fit on one"
    return _counted(asked.gpu, "GPU")


def _where(asked: Resources, *, uses_gpu: bool) -> str:
    accelerator = [f"accelerator {asked.accelerator}"] if asked.accelerator and uses_gpu else []
    named = [*accelerator, *(f"{key}={value}" for key, value in sorted(asked.labels.items()))]
    return f" of a node with {' and '.join(named)}" if named else ""


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun}" + ("" if number == 1 else "s")


def _s(names: Sequence[str]) -> str:
    return "s" if len(names) == 1 else ""
