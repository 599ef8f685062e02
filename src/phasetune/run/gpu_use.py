"""How busy the GPU was while a run had it, in percent of the time, as its driver (NVML) tells."""

import os
import threading
from collections.abc import Mapping
from statistics import fmean
from typing import Any, Self

PERIOD_SECONDS = 1.0
_END_SECONDS = 2.0


class GpuUse:
    """Asks the driver about every second, within a block; on a CPU it does nothing.

    It is the first device of this process that is asked for, where runs are computed, with whatever
    else computes on it. Where the driver does not answer, or does not tell, as for a part of a GPU
    (MIG), nothing is known, and nothing fails.
    """

    def __init__(self, device: str) -> None:
        self._samples: list[float] = []
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        if device == "cuda":
            self._thread = threading.Thread(
                target=self._measure, args=(_chosen_devices(),), name="gpu-use", daemon=True
            )

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def percent(self) -> dict[str, float]:
        """The mean `gpu_use_percent` of the time until now, where it is known; asks no more."""
        self._end()
        return {"gpu_use_percent": round(fmean(self._samples), 1)} if self._samples else {}

    def _end(self) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)

    def _measure(self, environment: Mapping[str, str]) -> None:
        """Starts NVML here too: without a daemon that keeps the driver loaded it takes seconds."""
        try:
            import pynvml

            pynvml.nvmlInit()
            try:
                self._sample(pynvml, _first_device(pynvml, environment))
            finally:
                pynvml.nvmlShutdown()
        except Exception:  # whatever it is, a measurement is no reason to end a run
            self._samples = []

    def _sample(self, nvml: Any, handle: Any) -> None:
        """What NVML tells is of the last second or less, so it is asked once more at the end."""
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(PERIOD_SECONDS)
            self._samples.append(float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))


def _chosen_devices() -> dict[str, str]:
    found = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")}
    return {name: value for name, value in found.items() if value is not None}


def _first_device(nvml: Any, environment: Mapping[str, str]) -> Any:
    """NVML's handle of what CUDA calls device 0 in an environment.

    Raises:
        LookupError: NVML counts the devices in another order than CUDA does.
    """
    name = environment.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    if not name.isdecimal():
        return nvml.nvmlDeviceGetHandleByUUID(name)
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    is_in_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if not is_in_order and len({nvml.nvmlDeviceGetName(handle) for handle in handles}) > 1:
        raise LookupError("CUDA puts the fastest device first")
    return handles[int(name)]
