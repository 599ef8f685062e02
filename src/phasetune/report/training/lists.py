"""Training reports from plain lists, as any training loop has them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from phasetune.errors import PhasetuneError, StoreError
from phasetune.report.training.curves import Curves, checked_values, curves_of_lists
from phasetune.report.training.folder import fill_fold_files, fill_folder
from phasetune.report.training.wording import plain_settings
from phasetune.store.durable import make_folder, replacing
from phasetune.study.schema import is_safe_name
from phasetune.study.wording import shown


def training_report(
    *,
    train_losses: Sequence[float],
    val_losses: Sequence[float],
    train_metrics: Mapping[str, Sequence[float]] | None = None,
    val_metrics: Mapping[str, Sequence[float]] | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    output_dir: str | Path = "reports/",
    prefix: str = "training_run",
) -> Path:
    """Write a report of one training; each list has one number per epoch, from the first on.

    Numbers may be anything that `float` takes: those of numpy, arrays, tensors. NaN and infinity
    are gaps in the pictures, and text such as `"nan"` in the JSON. The best epoch is the first one
    with the lowest finite validation loss, counted from 1.

    Returns:
        The new folder `<output_dir>/<prefix>_<YYYYmmdd_HHMMSS>`, by local time, with
        `loss_curves.png`, `metrics_curves.png` where there are metrics, `report.json` and
        `summary.txt`. An existing one is never written to: the name gets a `_2`.

    Raises:
        PhasetuneError: a list is empty, holds what is no number, or is not as long as the others;
            or the prefix can't be a name.
        StoreError: the folder can't be written.
    """
    curves = curves_of_lists(train_losses, val_losses, train_metrics, val_metrics)
    settings = plain_settings(hyperparameters)
    stem, now = _dated(prefix)
    with _new_folder(Path(output_dir), stem) as (draft, folder):
        fill_folder(
            draft,
            curves,
            about={"Generated": now.isoformat(sep=" ", timespec="seconds")},
            identity={"generated": now.isoformat(timespec="seconds")},
            settings=settings,
        )
    return folder


def kfold_report(
    *,
    val_losses_per_fold: Sequence[Sequence[float]],
    output_dir: str | Path = "reports/kfold/",
    prefix: str = "kfold_results",
) -> Path:
    """Write the table of folds: best and final validation loss of each, and mean ± std, min, max.

    `val_losses_per_fold` has a list per fold, with a number per epoch; they may differ in length.
    The standard deviation is that of a sample (divided by n - 1). A fold without a finite loss
    counts in no mean.

    Returns:
        The new file `<output_dir>/<prefix>_<YYYYmmdd_HHMMSS>.json`; a `.txt` for people and a
        `.png` are beside it. Existing ones are never written to: the name gets a `_2`.

    Raises:
        PhasetuneError: there is no fold, or one is empty or holds what is no number; or the prefix
            can't be a name.
        StoreError: the files can't be written.
    """
    curves = _curves_of_folds(val_losses_per_fold)
    stem, now = _dated(prefix)
    folder = Path(output_dir)
    file = _claimed(folder, stem, ".json", lambda path: path.touch(mode=0o600, exist_ok=False))
    try:
        identity = {"generated": now.isoformat(timespec="seconds")}
        fill_fold_files(file, curves, identity=identity)
    except BaseException:
        for part in (file, file.with_suffix(".txt"), file.with_suffix(".png")):
            with suppress(OSError):
                part.unlink()
        raise
    return file


def _curves_of_folds(losses: Any) -> dict[str, Curves]:
    if isinstance(losses, str | bytes | Mapping) or not hasattr(losses, "__iter__"):
        raise PhasetuneError(
            f"val_losses_per_fold must be a list of lists, one per fold, but is {shown(losses)}"
        )
    found: dict[str, Curves] = {}
    for index, values in enumerate(losses):
        checked = checked_values(values, f"val_losses_per_fold[{index}]")
        found[f"Fold {index + 1}"] = Curves(
            epochs=tuple(range(1, len(checked) + 1)),
            train_losses=(None,) * len(checked),
            val_losses=checked,
        )
    if not found:
        raise PhasetuneError("val_losses_per_fold must have a list for each fold, but is empty")
    return found


def _dated(prefix: str) -> tuple[str, datetime]:
    """The name that a report made now has, and when that is, by local time."""
    if not isinstance(prefix, str) or not is_safe_name(prefix):
        raise PhasetuneError(
            "prefix must be 1 to 100 ASCII letters, digits or . _ = + - without '..', starting "
            f"with a letter or digit, but is {shown(prefix)}"
        )
    now = datetime.now().astimezone()
    return f"{prefix}_{now:%Y%m%d_%H%M%S}", now


@contextmanager
def _new_folder(parent: Path, stem: str) -> Iterator[tuple[Path, Path]]:
    """A draft to fill, and the folder that it becomes: whole, or not there."""
    folder = _claimed(parent, stem, "", lambda path: path.mkdir(mode=0o700))
    try:
        with replacing(folder) as draft:
            draft.mkdir(mode=0o700)
            yield draft, folder
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def _claimed(parent: Path, stem: str, ending: str, claim: Callable[[Path], None]) -> Path:
    """A new name, taken before anybody else can."""
    make_folder(parent)
    for number in count(1):
        path = parent / f"{stem}{'' if number == 1 else f'_{number}'}{ending}"
        try:
            claim(path)
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"{path} can't be made: {error.strerror or error}") from error
        return path
    raise AssertionError("numbers do not end")
