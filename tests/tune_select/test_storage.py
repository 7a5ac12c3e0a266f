"""Files are written whole or not at all, and what cannot be written is named."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_select.storage import Folder, UnfitFileError, why_unwritable
from tune_select.wording import said_of

LIMITED = """
import resource, sys
from tune_select.storage import Folder
from tune_select.wording import said_of
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Folder.at(sys.argv[1]).write("a", b"x" * 5000)
except OSError as error:
    print(type(error).__name__, said_of(error))
"""


def test_a_disk_that_is_full_in_the_middle_leaves_the_old_file_and_nothing_else(
    tmp_path: Path,
) -> None:
    Folder.at(tmp_path).write("a", b"old")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"OSError {tmp_path}/a: File too large; make room\n"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="File exists") as refused:
        Folder.at(tmp_path / "file").write("a", b"")
    assert refused.value.filename == f"{tmp_path}/file/a"
    assert why_unwritable(tmp_path / "file" / "deep") == f"{tmp_path}/file is not a folder"
    assert why_unwritable(tmp_path / "new" / "deep") == ""
    assert why_unwritable("/proc/new").startswith("/proc")
    assert why_unwritable("/" + "x" * 300)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_what_is_no_file_is_told_from_storage_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    place = Folder.at(tmp_path)
    for name, said in {
        "folder": "is a folder",
        "loop": "is a link to itself",
        "pipe": "is not a regular file",
        "file": "has 5 bytes, more than the 4",
    }.items():
        with pytest.raises(UnfitFileError, match=said):
            place.read_regular(name, 4)
    with pytest.raises(FileNotFoundError):
        place.read_regular("nothing", 4)
    assert place.read_regular("file", 5) == b"12345"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "make room"),
        (errno.EROFS, "make it writable"),
        (errno.EACCES, "make it writable"),
    ],
)
def test_what_helps_is_said(number: int, remedy: str) -> None:
    error = OSError(number, os.strerror(number), "/results/s/trials.parquet")
    assert said_of(error) == f"/results/s/trials.parquet: {os.strerror(number)}; {remedy}"
    assert said_of(OSError("of a library's own")) == "of a library's own"
