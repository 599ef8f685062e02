"""A URI opened as a file system of pyarrow that gives up in time, and why one can't be used.

A request is given up where nothing came for ten seconds; it is tried five times, with growing
pauses. So an address where nobody listens is told of after some seconds, and one that hangs after a
minute.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from phasetune.store.masking import masked

_CONNECT_SECONDS = 5
_REQUEST_SECONDS = 10
_TRIES = 5
_GOOGLE_SECONDS = 60
_MOST_LETTERS = 400

_KINDS = "name a folder, or a URI such as s3://bucket/folder or gs://bucket/folder"
_CREDENTIALS = (
    "see that the credentials are those of the storage, such as AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, and may read and write there"
)
_NETWORK = (
    "see that the network and the endpoint (for S3 AWS_ENDPOINT_URL) are right, and try again"
)
_WAYS_OUT = (
    ("Unrecognized filesystem type", _KINDS),
    ("Cannot parse URI|syntax error", "write what is special in a URI in percents, such as %20"),
    ("Unexpected query parameter", "leave it out"),
    ("NO_SUCH_BUCKET|no bucket|bucket does not exist", "make it, or name another one"),
    ("ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|[Cc]redential|HTTP status 40[13]", _CREDENTIALS),
    ("UNAUTHENTICATED|PERMISSION_DENIED", _CREDENTIALS),
    ("NETWORK_CONNECTION|[Cc]ould not|CURL|UNAVAILABLE|resolve", _NETWORK),
)


def opened(uri: str) -> tuple[Any, str]:
    """The file system, and the path in it that a URI names.

    Raises:
        OSError: there is no such kind of storage, or the URI is not written as it must be.
    """
    from pyarrow import fs

    with as_os_errors():
        files, path = fs.FileSystem.from_uri(uri)
        return _bounded(files), path.rstrip("/")


def _bounded(files: Any) -> Any:
    """The same with time-outs, for which a URI has no words."""
    from pyarrow import fs

    if files.type_name == "s3":
        make, (options,) = files.__reduce__()
        return make(
            {
                **options,
                "connect_timeout": _CONNECT_SECONDS,
                "request_timeout": _REQUEST_SECONDS,
                "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
                "allow_delayed_open": True,  # else two more requests for each small object
            }
        )
    if files.type_name == "gcs":
        make, (options,) = files.__reduce__()
        limit = options["retry_time_limit"] or timedelta(seconds=_GOOGLE_SECONDS)
        return make({**options, "retry_time_limit": limit})
    return files


@contextmanager
def as_os_errors() -> Iterator[None]:
    """Whatever pyarrow raises is an OSError, as it is where a disk fails."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, ValueError) as error:
        raise OSError(str(error)) from error


def why_unreachable(error: OSError) -> str:
    """What an error says, in one line without secrets, and the way out where one is known."""
    said = " ".join(masked(str(error)).split()).rstrip(".")
    shown = said if len(said) <= _MOST_LETTERS else f"{said[:_MOST_LETTERS]} ..."
    ways = (way_out for pattern, way_out in _WAYS_OUT if re.search(pattern, said))
    return "; ".join([shown, *list(ways)[:1]])
