"""A context for a stage by itself: it keeps what is reported, and can ask for an end."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasetune import Fold, Trunk


@dataclass(kw_only=True)
class Context:
    """What a stage is given; it keeps the newest checkpoint.

    An end is asked for in epoch `stop_in`, or from the `stop_at`-th time on that a stage asks.
    """

    output: Path
    data: Any = None
    parent: Path | None = None
    seed: int = 1
    fold: Fold | None = None
    device: str = "cpu"
    threads: int = 1
    precision: str = "fp32"
    tf32: bool = False
    deterministic: bool = True
    warn_only: bool = True
    cudnn_benchmark: bool = False
    resumed: Path | None = None
    trunk: Trunk | None = None
    stop_in: int | None = None
    stop_at: int | None = None
    by_step: dict[int, dict[str, float]] = field(default_factory=dict)
    reports: list[int] = field(default_factory=list)
    notes: dict[str, bool] = field(default_factory=dict)
    checkpoint: Path | None = None
    kept: list[Path] = field(default_factory=list)
    given: Path = Path()
    checkpoints: Path = Path()
    asked: int = 0

    def __post_init__(self) -> None:
        self.output.mkdir(parents=True, exist_ok=True)
        self.checkpoints = Path(tempfile.mkdtemp(dir=self.output.parent))

    @property
    def rows(self) -> list[dict[str, float]]:
        """What was reported last of each step, with the step."""
        return [{**self.by_step[step], "step": step} for step in sorted(self.by_step)]

    def report(
        self, metrics: Mapping[str, float], *, step: int, checkpoint: Path | None = None
    ) -> None:
        self.by_step[step] = dict(metrics)
        self.reports.append(step)
        if checkpoint is not None:
            self.given = checkpoint
            self.checkpoint = Path(tempfile.mkdtemp(dir=self.output.parent))
            shutil.copytree(checkpoint, self.checkpoint, dirs_exist_ok=True)
            self.kept.append(self.checkpoint)

    def should_stop(self) -> bool:
        self.asked += 1
        is_in = self.stop_in is not None and max(self.by_step, default=0) + 1 >= self.stop_in
        return is_in or (self.stop_at is not None and self.asked >= self.stop_at)

    def note(self, message: str, *, is_exact: bool = True) -> None:
        self.notes[message] = is_exact and self.notes.get(message, True)
