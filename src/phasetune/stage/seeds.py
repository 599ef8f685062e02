"""Named streams of one seed: randomness that depends on what it is for, never on order or clock."""

import hashlib


def derived_seed(seed: int, *stream: str | int) -> int:
    """A seed in [0, 2**32) for a named stream of a seed."""
    text = "\0".join(str(part) for part in (seed, *stream))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
