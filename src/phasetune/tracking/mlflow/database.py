"""Make an MLflow database file: `python -m phasetune.tracking.mlflow.database FILE ARTIFACTS`.

A third argument is the process that asks for it, without which this one ends.
"""

import sys
from pathlib import Path

from phasetune.tracking.children import end_with
from phasetune.tracking.mlflow.store import bounded, quietly


def create(file: Path, artifacts: Path) -> None:
    """Make the tables, and the empty experiment that MLflow always has."""
    with bounded(), quietly():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        SqlAlchemyStore(f"sqlite:///{file}", str(artifacts))


if __name__ == "__main__":
    for parent in sys.argv[3:]:
        end_with(int(parent))
    create(Path(sys.argv[1]), Path(sys.argv[2]))
