"""What a workload says should be known before some settings run on a device."""

from collections.abc import Callable, Iterable

from phasetune.study.load import LoadedStudy
from phasetune.study.parameters import Settings, typed_settings


def workload_warnings(
    loaded: LoadedStudy, settings: Callable[[], Iterable[Settings]], *, device: str
) -> tuple[str, ...]:
    """Each of the workload's warnings about these settings, once, in their order.

    `settings` is called only where the workload has something to say.
    """
    workload, data = loaded.workload, loaded.data
    if workload.advise is None:
        return ()
    found: dict[str, None] = {}
    for setting in settings():
        params = typed_settings(workload.stages, setting)
        found |= dict.fromkeys(workload.advise(params, data, device=device))
    return tuple(found)
