"""Results as people name them: a folder, or a URI; what a URI may say, and how names are put on it.

A URI that carries a password is refused: it would end in every document, log and pickle that names
the results. So is one whose query says anything that is not known to be harmless.
"""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from phasetune.errors import StoreError
from phasetune.store.masking import masked

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_COLLAPSED = re.compile(r"\A(s3|gs|gcs|abfs|abfss|hdfs|viewfs|file):/(?!/)")
_SLASHES = {"file": "///"}
_FILE = "file://"
_LOCAL_HOSTS = ("", "localhost")
_WITHOUT_HOST = ("hdfs", "viewfs")
_HARMLESS = (
    "region",
    "scheme",
    "endpoint_override",
    "allow_bucket_creation",
    "allow_bucket_deletion",
    "allow_delayed_open",
    "tls_ca_file_path",
    "tls_ca_dir_path",
    "tls_verify_certificates",
    "retry_limit_seconds",
    "default_bucket_location",
    "project_id",
    "blob_storage_authority",
    "dfs_storage_authority",
    "enable_tls",
    "background_writes",
    "user",
    "replication",
    "buffer_size",
    "default_block_size",
)
"""What pyarrow takes in a query, but for what says who asks."""


def as_given(root: str | Path) -> str:
    """What somebody meant: a `Path` of a URI has lost one of its two slashes, and so have some that
    were typed; `./s3:/x` is a folder.
    """
    return _COLLAPSED.sub(_with_slashes, str(root))


def is_uri(text: str) -> bool:
    """Whether results at `text` lie on an object store, and not in a folder."""
    return _SCHEME.match(text) is not None and not _is_file(text)


def plain_folder(text: str) -> Path:
    """The folder that is named by its path, or by a `file://` URI.

    Raises:
        StoreError: the URI names another machine's folder.
    """
    if not _is_file(text):
        return Path(text)
    parts = urlsplit(text)
    if parts.netloc.lower() not in _LOCAL_HOSTS:
        raise StoreError(
            f"{text} names a folder of a machine called {parts.netloc!r}; write file:/// and the "
            "whole path for one of this machine"
        )
    return Path(unquote(parts.path))


def checked_uri(text: str) -> str:
    """The one way to write a URI: its scheme in small letters, no slash at its end.

    Raises:
        StoreError: it names no bucket, or carries a password, what may be one, or spaces.
    """
    scheme, _, rest = text.strip().partition("://")
    place, mark, query = rest.partition("?")
    authority = place.partition("/")[0]
    if ":" in authority.rpartition("@")[0]:
        raise StoreError(
            f"{masked(text)} carries a password, which would be kept wherever the results are "
            "named; give it by the environment, such as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, and leave it out"
        )
    if not authority and scheme.lower() not in _WITHOUT_HOST:
        raise StoreError(f"{scheme}://{place} names no bucket; write {scheme}://BUCKET/FOLDER")
    _refuse_unknown(query, f"{scheme}://{place}")
    if " " in rest:
        raise StoreError(f"{text!r} has a space in it; write %20 instead")
    return f"{scheme.lower()}://{place.rstrip('/')}{mark}{query}"


def joined(uri: str, name: str) -> str:
    """What people call an object below a URI."""
    place, mark, query = uri.partition("?")
    return f"{place}/{name}{mark}{query}" if name not in ("", ".") else uri


def _refuse_unknown(query: str, shown: str) -> None:
    """Which names stand for secrets differs between storages, and from year to year."""
    names = [part.partition("=")[0] for part in re.split("[&;]", query) if part]
    for name in names:
        if name not in _HARMLESS:
            raise StoreError(
                f"the URI {shown} says {name!r} in its query, which may be a secret, and would be "
                "kept wherever the results are named; leave it out, and give what it says by the "
                "environment, as the storage's own tools take it"
            )


def _with_slashes(found: re.Match[str]) -> str:
    return f"{found[1]}:{_SLASHES.get(found[1], '//')}"


def _is_file(text: str) -> bool:
    return text.lower().startswith(_FILE)
