"""Where Tune prepares what it brings to the results; no Ray takes part."""

from pathlib import Path

from ray.train._internal.storage import StorageContext
from ray.tune import utils

from phasetune.run.ray.storage import own_staging


def test_two_drivers_that_begin_in_the_same_second_prepare_in_different_folders(
    tmp_path: Path,
) -> None:
    plain, named = utils.date_str, set[str]()
    utils.date_str = lambda: "2030-01-01_00-00-00"
    try:
        for _ in range(2):
            with own_staging():
                context = StorageContext(storage_path=tmp_path, experiment_dir_name="0001")
            named.add(context._timestamp)
        assert utils.date_str() == "2030-01-01_00-00-00"
    finally:
        utils.date_str = plain
    assert len(named) == 2
