"""Make an MLflow database file: `python -m phasetune.tracking.mlflow.database FILE ARTIFACTS`."""

import sys
from pathlib import Path

from phasetune.tracking.mlflow.store import bounded, quietly


def create(file: Path, artifacts: Path) -> None:
    """Make the tables, and the empty experiment that MLflow always has."""
    with bounded(), quietly():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        SqlAlchemyStore(f"sqlite:///{file}", str(artifacts))


if __name__ == "__main__":
    create(Path(sys.argv[1]), Path(sys.argv[2]))
