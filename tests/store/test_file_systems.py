"""Which paths lie on storage that machines share, by what the system says of its mounts."""

from pathlib import Path

import pytest

from phasetune.store.file_systems import network_file_system

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:40 / /home rw,relatime shared:2 master:1 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/local rw - xfs /dev/vdb rw
32 27 0:42 / /mnt/a\040folder\134n rw - nfs server:/a rw
33 27 0:43 / /hidden rw - nfs4 server:/hidden rw
34 33 0:44 / /hidden rw - tmpfs tmpfs rw
35 27 0:45 / /host rw - 9p host rw
36 27 0:46 / /cloud rw - fuse.gcsfuse bucket rw
37 27 0:47 / /zip rw - fuse.fuse-zip zip rw
38 27 0:48 / /usb rw - fuseblk /dev/sdb rw
39 27 0:49 / /scratch rw - lustre ost rw
a line of another kind - nfs4
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/results", None),
        ("/home", "nfs4"),
        ("/home/me/not/there/yet", "nfs4"),
        ("/homes/me", None),
        ("/home/local/results", None),
        ("/home/local/../me", "nfs4"),
        ("/mnt/a folder\\n/x", "nfs"),
        ("/hidden/x", None),
        ("/host/x", None),
        ("/cloud/x", "fuse.gcsfuse"),
        ("/zip/x", None),
        ("/usb/x", None),
        ("/scratch/x", "lustre"),
    ],
)
def test_the_deepest_mount_decides_and_a_later_one_hides_one_before(
    path: str, kind: str | None, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert network_file_system(Path(path), mounts=mounts) == kind


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").symlink_to("there")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / {tmp_path.resolve()}/there rw - cifs //server/x rw\n")
    assert network_file_system(tmp_path / "here/results", mounts=mounts) == "cifs"
    assert network_file_system(tmp_path, mounts=mounts) is None


def test_where_no_mounts_are_told_nothing_is_shared(tmp_path: Path) -> None:
    assert network_file_system(Path("/home"), mounts=tmp_path / "missing") is None


def test_this_machine_s_own_temporary_folder_is_not_shared(tmp_path: Path) -> None:
    assert network_file_system(tmp_path) is None
