"""The study's `data:` block: a folder of `.npz` files, or a named source that needs none."""

import shlex
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from phasetune.store.digests import file_digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Part = Literal["unlabeled", "train", "test"]
FILES: dict[str, str] = {
    "unlabeled": "unlabeled_augmented.npz",
    "train": "train.npz",
    "test": "test.npz",
}
UNLABELED_PER_WINDOW = 4


class Data(BaseModel):
    """Windows of shape [n, time, channel]; `train` and `test` have labels 0, 1, ... as well.

    `dir` is a folder with `train.npz` and `test.npz` (`X` float32, `y` integers) and
    `unlabeled_augmented.npz` (`X`, and `source` where some were made from others). Or `source`:
    `synthetic` makes price windows in memory, `windows` labelled ones (a fifth of them for testing)
    and `unlabeled` others, from `seed`; `digits` are scikit-learn's handwritten digits, 8 rows of 8
    pixels as 8 time steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dir: str | None = None
    source: Literal["synthetic", "digits"] | None = None
    windows: int = Field(default=2000, ge=50, le=10_000_000)
    unlabeled: int | None = Field(default=None, ge=20, le=100_000_000)
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.dir is None) == (self.source is None):
            raise ValueError(
                "must have either dir, a folder, or source: synthetic or digits, and the other null"
            )
        only_synthetic = self.model_fields_set & {"windows", "unlabeled", "seed"}
        if only_synthetic and self.source != "synthetic":
            name = sorted(only_synthetic)[0]
            raise ValueError(
                f"{name} belongs to source: synthetic alone; leave it out, or replace the whole "
                "block of a base study by an override such as data={dir: FOLDER}"
            )
        return self

    def fingerprint(self, part: str) -> str:
        """Of a part's content; what is made from a seed is named by what it is made from.

        Raises:
            OSError: the part's file is not there.
        """
        if self.source == "digits":
            file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
            return f"{part} of digits {file_digest(Path(str(file)))}"
        if self.source == "synthetic":
            count = self.num_unlabeled if part == "unlabeled" else self.windows
            return f"{part} of synthetic {count} from {self.seed}"
        return file_digest(self._existing_file(part))

    @cached_property
    def loaded(self) -> dict[str, tuple["NDArray[np.float32]", "NDArray[np.int64] | None"]]:
        """Windows and labels of the parts that this process has loaded."""
        return {}

    @property
    def num_unlabeled(self) -> int:
        """How many unlabelled windows the synthetic source makes."""
        return self.windows * UNLABELED_PER_WINDOW if self.unlabeled is None else self.unlabeled

    def shape(self, part: Part) -> tuple[int, ...]:
        """[n, time, channel] of a part; of files only the header is read, `unlabeled` never loaded.

        Raises:
            OSError, StageError: the part's file is not there, or is none.
        """
        if self.source is None and part not in self.loaded:
            from phasetune.train.arrays import array_header

            return array_header(self._existing_file(part), "X").shape
        if self.source is not None and part == "unlabeled":
            from phasetune.workloads.windows.sources import unlabeled_shape

            return unlabeled_shape(self)
        return self.windows_of(part).shape

    def windows_of(self, part: Part) -> "NDArray[np.float32]":
        """Windows of a part, shape [n, time, channel]; loaded once per process.

        Raises:
            OSError, StageError: as for `shape`; also where the content is not what it must be.
        """
        return self._part(part)[0]

    def labels_of(self, part: Part) -> "NDArray[np.int64]":
        """Labels of `train` or `test`, shape [n].

        Raises:
            OSError, StageError: as for `windows_of`.
        """
        labels = self._part(part)[1]
        assert labels is not None  # noqa: S101 - the other parts have them
        return labels

    @cached_property
    def sources(self) -> "NDArray[np.int64] | None":
        """Which window each unlabelled one was made from, shape [n]; None where that is not known.

        Raises:
            OSError, StageError: as for `windows_of`.
        """
        from phasetune.workloads.windows import files

        if self.source is not None:
            return None
        return files.read_sources(self._existing_file("unlabeled"), self.shape("unlabeled")[0])

    @cached_property
    def num_classes(self) -> int:
        """How many classes the training labels have."""
        return int(self.labels_of("train").max()) + 1

    def check(self, *, folds: int) -> Iterable[str]:
        """What is wrong with the content, in one sentence each; loads all of it."""
        from phasetune.workloads.windows.checks import content_problems

        return content_problems(self, folds=folds)

    def _part(self, part: Part) -> tuple["NDArray[np.float32]", "NDArray[np.int64] | None"]:
        if part not in self.loaded:
            self.loaded.update(self._load(part))
        return self.loaded[part]

    def _load(self, part: Part) -> dict[str, Any]:
        from phasetune.workloads.windows import files, sources

        if self.source == "digits":
            return sources.digits()
        if self.source == "synthetic":
            return sources.synthetic(self, part)
        return {part: files.read_part(self._existing_file(part), is_labelled=part != "unlabeled")}

    def _way_out(self, part: str) -> str:
        train = Path(str(self.dir)) / FILES["train"]
        if part == "unlabeled" and train.is_file():
            missing = train.with_name(FILES[part])
            command = shlex.join(
                ["phasetune", "data", "augment", str(train), "--out", str(missing)]
            )
            return f"make it with `{command}`"
        return (
            "name its folder in data.dir, or try made-up windows, as `phasetune data make windows "
            "--out DIR` writes them"
        )

    def _existing_file(self, part: str) -> Path:
        path = Path(str(self.dir)) / FILES[part]
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there; {self._way_out(part)}")
        return path
