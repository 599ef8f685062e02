"""Several processes that use one mirror, or one URI, at the same time."""

import subprocess
import sys
from pathlib import Path

from conftest import TESTS
from machines import KEY, on, publish, reader
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.durable import write_text

_READS = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from machines import KEY, reader
from phasetune.store.artifacts import ArtifactStore
for _ in range(5):
    paths = reader(sys.argv[1])
    for number in range(4):
        found = ArtifactStore(paths.store).get("train", f"{{number:x}}" + KEY[1:])
        found.verify()
    assert (paths.root / "s/plan.json").read_bytes() in (b"old", b"newer")
"""

_PUBLISHES = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from machines import publish, reader
print(publish(reader(sys.argv[1])).manifest["digest"])
"""


def test_processes_that_refresh_and_bring_into_one_mirror(bucket: str, tmp_path: Path) -> None:
    with on(tmp_path / "writer"):
        paths = reader(bucket)
        for number in range(4):
            publish(paths, key=f"{number:x}{KEY[1:]}", content=f"weights {number}" * 10_000)
        plan = paths.root / "s/plan.json"
        write_text(plan, "old")
    with on(tmp_path / "readers"):
        command = [sys.executable, "-c", _READS, bucket]
        readers = [subprocess.Popen(command) for _ in range(3)]
    with on(tmp_path / "writer"):
        write_text(plan, "newer")
    assert [process.wait() for process in readers] == [0, 0, 0]


def test_processes_that_publish_one_key_agree_on_it(bucket: str, tmp_path: Path) -> None:
    writers = []
    for name in ("one", "two"):
        with on(tmp_path / name):
            command = [sys.executable, "-c", _PUBLISHES, bucket]
            writers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    assert len({writer.communicate()[0] for writer in writers}) == 1
    with on(tmp_path / "reader"):
        found = ArtifactStore(reader(bucket).store).get("train", KEY)
        assert found is not None
        found.verify()
