"""A small file system of a test's own, which can be full, or refuse writing, for a while."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system in memory.

    Attributes:
        root: Where it is mounted.
    """

    root: Path

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.root / "filler").open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def free(self) -> None:
        """Take back what ``fill`` wrote."""
        (self.root / "filler").unlink()

    def refuse_writing(self) -> None:
        """What a network file system does that has lost its server."""
        # A read-only view of it lies over it: the disk itself cannot be made read-only while a file
        # is open for writing, and the sweep's own lock always is.
        root = str(self.root)
        subprocess.run(["mount", "--bind", root, root], check=True)
        remount = ["mount", "-o", "remount,ro,bind", root]
        deadline = time.monotonic() + 10
        while subprocess.run(remount, capture_output=True).returncode:
            assert time.monotonic() < deadline, f"cannot make {root} read-only"

    def allow_writing(self) -> None:
        """The server is back."""
        subprocess.run(["umount", "-l", str(self.root)], check=True)


@contextmanager
def small_disk(kilobytes: int) -> Iterator[SmallDisk]:
    """Mount one, or skip the test where that is not allowed."""
    root = tempfile.mkdtemp(prefix="d", dir="/tmp")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", root]
    if subprocess.run(mount, capture_output=True).returncode:
        os.rmdir(root)
        pytest.skip("needs the right to mount a small file system")
    try:
        yield SmallDisk(Path(root))
    finally:
        subprocess.run(["umount", "-l", root], check=True)
        os.rmdir(root)
