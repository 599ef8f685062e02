"""Ray's processes in process groups of their own, so that a signal to the driver's is its alone.

Ctrl-C in a terminal, `timeout` and job managers signal a whole process group. Were the raylet in
it, the cluster would be gone before the driver could ask its runs for their checkpoints. The
session stays the driver's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial


@contextmanager
def own_groups() -> Iterator[None]:
    """Within the block each process that Ray starts from this one leads a group of its own."""
    from ray._private import services

    before = services.ConsolePopen
    services.ConsolePopen = partial(before, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = before
