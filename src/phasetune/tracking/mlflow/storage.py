"""Whether MLflow's database lies where SQLite keeps it whole: on a disk of one machine."""

from phasetune.store.file_systems import network_file_system
from phasetune.store.machine_folder import local_root
from phasetune.store.paths import ResultsPaths
from phasetune.tracking.mlflow.store import MlflowPlace


def storage_notes(place: MlflowPlace, results: ResultsPaths) -> tuple[str, ...]:
    """What people should know of a database file, in sentences: where their own one is, when it is
    made beside no results, and that one may be damaged.
    """
    if place.file is None:
        return ()
    if place.file == results.mlflow:
        is_news = local_root(results.root) != results.root or results.uri is not None
        note = (
            f"MLflow's database is on this machine alone, {place.file}: SQLite damages its files "
            "where machines share them; for all machines name a server, such as `tracking: "
            '{mlflow: "http://HOST:PORT"}`'
        )
        return (note,) if is_news and not place.file.exists() else ()
    kind = network_file_system(place.file)
    note = (
        f"warning: MLflow's database {place.file} is on a network file system ({kind}), where "
        "SQLite damages its files; name one on a disk of this machine, or a server"
    )
    return () if kind is None else (note,)
