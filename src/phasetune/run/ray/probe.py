"""A small program that asks a Ray head what it wants of those who join, and who it is.

Ray ends the process that asks in the wrong way, so another one asks: first as one that has no
token, which is enough where the cluster asks for none, and then with the one that Ray finds here.
"""

import json
import os
import sys
from typing import Any

from phasetune.run.ray.token import AUTHENTICATION, is_token_in_environment, token_file


def main(address: str) -> None:
    """Print what was found as one line of JSON."""
    found = _asked(address, mode="disabled")
    if found is None:
        has_token = is_token_in_environment() or token_file().is_readable
        admitted = _asked(address, mode="token") if has_token else None
        found = {"asks_for_token": True, **(admitted or {"is_refused": True})}
    print(json.dumps(found))  # noqa: T201 - it is what this program is for


def _asked(address: str, *, mode: str) -> dict[str, Any] | None:
    """What the head says of itself; None where it refuses this token, or none."""
    from ray._private import ray_constants
    from ray._raylet import Config, GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    os.environ[AUTHENTICATION] = mode
    Config.initialize("")
    try:
        client = GcsClient(address=address)
        text = client.internal_kv_get(b"CLUSTER_METADATA", ray_constants.KV_NAMESPACE_CLUSTER, 5)
    except AuthenticationError:
        return None
    said = json.loads(text or b"{}")
    return {"ray": said.get("ray_version"), "python": said.get("python_version")}


if __name__ == "__main__":
    main(sys.argv[1])
