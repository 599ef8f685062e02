"""Whether a path lies on a file system that machines share, by the mounts of this machine.

There the locks of the operating system may hold on one machine alone, or not at all, and SQLite
damages its files. Disks that a virtual machine has of its host (9p, virtiofs) are not among them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "davfs", "coda"),
        *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "pvfs2", "orangefs", "panfs", "wekafs"),
        *("gfs", "gfs2", "ocfs2"),
    )
)
_NETWORK_FUSE = frozenset(
    (
        *("sshfs", "s3fs", "gcsfuse", "goofys", "geesefs", "mount-s3", "mountpoint-s3", "rclone"),
        *("blobfuse", "blobfuse2", "davfs", "davfs2", "ceph", "ceph-fuse", "glusterfs", "lustre"),
        *("juicefs", "seaweedfs", "weed", "mfs", "moosefs", "quobyte", "hdfs", "fuse_dfs"),
        *("beegfs", "wekafs", "smbnetfs", "nfs", "curlftpfs", "s3ql", "lizardfs", "alluxio"),
    )
)


def network_file_system(path: Path, *, mounts: Path | None = None) -> str | None:
    """The type of the network file system that a path lies on, which nothing needs to be at yet,
    such as `nfs4`; None elsewhere, and where the system tells of no mounts.
    """
    here, found = path.resolve(), (0, "")
    for point, kind in _mounts(mounts or MOUNTS):
        depth = len(point.parts)
        if depth >= found[0] and here.is_relative_to(point):  # a later mount hides one before
            found = (depth, kind)
    return found[1] if _is_network(found[1]) else None


def _is_network(kind: str) -> bool:
    family, _, name = kind.partition(".")
    return kind in _NETWORK or (family == "fuse" and name in _NETWORK_FUSE)


def _mounts(file: Path) -> Iterator[tuple[Path, str]]:
    """Where what is mounted, in its order: such as
    `36 35 98:0 / /mnt/a\\040disk rw,noatime shared:1 - nfs4 server:/a rw`.
    """
    try:
        lines = file.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        place, separator, source = line.partition(" - ")
        words = place.split(" ")
        if separator and len(words) > 4:
            yield Path(_unescaped(words[4])), source.partition(" ")[0]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
