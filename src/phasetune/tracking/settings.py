"""Settings that libraries take from environment variables, for as long as a tracker is connected.

They are set at its begin and taken back at its end, not call by call: the environment must not
change while other threads compute.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def unless_set(wanted: Mapping[str, str]) -> Iterator[None]:
    """Within the block these variables are set; what the user has set stays as it is."""
    lacking = {name: text for name, text in wanted.items() if name not in os.environ}
    os.environ.update(lacking)
    try:
        yield
    finally:
        for name in lacking:
            os.environ.pop(name, None)
