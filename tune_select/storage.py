"""Files on any filesystem that Ray's storage path accepts, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from pyarrow import ArrowInvalid
from pyarrow import fs as pafs


def local_path(text: str | os.PathLike[str]) -> str:
    """An absolute local path, from ``~`` and relative ones too.

    Ray Tune changes a trial's working directory to the trial's own folder: a relative path means
    what it meant where the sweep was started, or every trial would look in another place.
    """
    expanded = os.path.expanduser(os.fspath(text))
    return os.path.abspath(os.path.join(os.environ.get("TUNE_ORIG_WORKING_DIR", ""), expanded))


def why_unwritable(folder: str | os.PathLike[str]) -> str:
    """Why files could not be written into a local folder, or ``""``; nothing is left behind.

    Args:
        folder: It need not exist: then it is the nearest folder above it that has to take it.
    """
    path = Path(folder).expanduser().resolve()
    try:
        there = next(parent for parent in (path, *path.parents) if parent.exists())
        if not there.is_dir():
            return f"{there} is not a folder"
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:  # also a folder that may not be looked into, or too long a name
        return f"{error.filename or path}: {error.strerror}"


class UnfitFileError(Exception):
    """What lies under a name is no regular file of the folder, or larger than it may be."""


@dataclass(frozen=True)
class Folder:
    """A folder on some filesystem; cheap to make again from its ``location``.

    Attributes:
        location: What the user wrote: a local path or a URI.
        filesystem: The ``pyarrow.fs`` filesystem it lies on.
        path: The folder's path on that filesystem.
    """

    location: str
    filesystem: pafs.FileSystem
    path: str

    @classmethod
    def at(cls, location: str | os.PathLike[str]) -> Folder:
        """Resolve a local path (``~`` and relative ones too) or a URI.

        pyarrow's own schemes (``file``, ``s3``, ``gs``, ``hdfs``, ...) are tried first, then those
        of installed fsspec implementations, as Ray does.

        Raises:
            ValueError: The URI's scheme is known to neither.
        """
        text = os.fspath(location)
        if "://" not in text:
            return cls(text, pafs.LocalFileSystem(), local_path(text))
        try:
            filesystem, path = pafs.FileSystem.from_uri(text)
        except ArrowInvalid as unknown:
            filesystem, path = _fsspec_filesystem(text, unknown)
        return cls(text, filesystem, path.rstrip("/"))

    def file(self, name: str) -> str:
        """Path of one file of the folder on its filesystem."""
        return posixpath.join(self.path, name)

    def read(self, name: str) -> bytes:
        """Whole content of a file.

        Raises:
            FileNotFoundError: It is not there.
        """
        with self.filesystem.open_input_stream(self.file(name), compression=None) as stream:
            return bytes(stream.readall())

    def read_regular(self, name: str, most_bytes: int) -> bytes:
        """Content of a regular file of a bounded size, for names and sizes that may lie.

        Args:
            name: The name of a file of the folder itself.
            most_bytes: What it may have; nothing of a larger file is read.

        Raises:
            FileNotFoundError: It is not there.
            UnfitFileError: A pipe, a device, a folder, a link out of the folder, or too large.
            OSError: The storage refused.
        """
        if not isinstance(self.filesystem, pafs.LocalFileSystem):
            info = self.filesystem.get_file_info(self.file(name))
            if info.type == pafs.FileType.NotFound:
                raise FileNotFoundError(self.file(name))
            _check_kind(self.file(name), info.type == pafs.FileType.File, info.size, most_bytes)
            return self.read(name)
        path = self.file(name)
        # Not to wait for somebody to write into a pipe; what it is shows once it is open.
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UnfitFileError(f"{path} is a link to itself") from error
            raise
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):  # which Python does not open as a file
            os.close(descriptor)
            raise UnfitFileError(f"{path} is a folder")
        with open(descriptor, "rb") as file:
            _check_kind(path, stat.S_ISREG(found.st_mode), found.st_size, most_bytes)
            if os.path.realpath(path) != os.path.join(os.path.realpath(self.path), name):
                raise UnfitFileError(f"{path} is a link to another place")
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that readers see the old content or the new, never a part.

        Every file of a results folder is written in this way.

        A local rename is atomic. Object stores copy on a rename, but publish an object only once it
        is whole, which gives readers the same.

        Raises:
            OSError: The storage refused; nothing is left under ``name`` that was not there before.
                It names the file.
        """
        try:
            self._write(name, content)
        except OSError as error:
            # Arrow says what happened to which of its own steps, and seldom to which file.
            if error.errno and isinstance(self.filesystem, pafs.LocalFileSystem):
                error.filename, error.strerror = self.file(name), os.strerror(error.errno)
            raise

    def _write(self, name: str, content: bytes) -> None:
        self.filesystem.create_dir(self.path, recursive=True)
        # The name is unique so that a writer believed dead cannot spoil its successor's file.
        beside = self.file(f".{name}.{uuid.uuid4().hex[:12]}.tmp")
        try:
            with self.filesystem.open_output_stream(beside, compression=None) as stream:
                stream.write(content)
            if isinstance(self.filesystem, pafs.LocalFileSystem):
                _to_disk(beside)  # or a power failure may leave the new name with no content
            self.filesystem.move(beside, self.file(name))
        except BaseException:
            with contextlib.suppress(OSError):
                self.filesystem.delete_file(beside)
            raise


def _check_kind(path: str, regular: bool, size: int | None, most_bytes: int) -> None:
    if not regular:
        raise UnfitFileError(f"{path} is not a regular file")
    if (size or 0) > most_bytes:
        raise UnfitFileError(f"{path} has {size} bytes, more than the {most_bytes} it may have")


def _to_disk(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsspec_filesystem(location: str, unknown: ArrowInvalid) -> tuple[pafs.FileSystem, str]:
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        inner, path = url_to_fs(location)
    except (ImportError, ValueError) as error:
        raise ValueError(
            f"location {location!r} has a scheme that neither pyarrow nor fsspec knows: use a "
            f"path, or install the fsspec implementation of {location.split('://')[0]!r}"
        ) from (error if isinstance(error, ValueError) else unknown)
    return pafs.PyFileSystem(pafs.FSSpecHandler(inner)), path
