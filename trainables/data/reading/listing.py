"""Which files of a folder tree belong to a data set: not what systems and editors leave there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_SYSTEM_NAMES = frozenset(
    {
        "__macosx",  # archives made on macOS
        "__pycache__",
        "@eadir",  # network storage
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "thumbs.db",
        "desktop.ini",
    }
)


def is_hidden(name: str) -> bool:
    """Whether a file or folder belongs to a system or an editor and not to a data set.

    Names that begin with a dot (``.DS_Store``, ``._0.png``, ``.ipynb_checkpoints``) and the names
    that systems use without one (``__MACOSX``, ``Thumbs.db``), in any case.
    """
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


@dataclass(frozen=True)
class Listing:
    """The files of a tree.

    Attributes:
        files: Paths relative to the root they were listed under, sorted, with one of the endings.
        hidden: Hidden files and folders, which nothing is read from.
        others: Files with other endings.
        loops: Links to a folder that was listed already.
    """

    files: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    loops: tuple[str, ...] = ()


def list_files(root: Path, folder: Path, endings: Collection[str]) -> Listing:
    """List the files below ``folder``, through links too, each folder once.

    Args:
        root: What the names are relative to.
        folder: Where to look; may be missing, which gives nothing.
        endings: Lower-case endings with their dot; those of files may be of any case.

    Raises:
        ValueError: A name is not UTF-8.
    """
    files, hidden, others, loops = [], [], [], []
    # The folders above count as seen: a link back to one of them would list the tree for ever.
    seen = {os.path.realpath(parent) for parent in (folder, *folder.absolute().parents)}
    for path, is_loop in _walk(folder, seen):
        name = os.path.relpath(path, root)
        if is_loop:
            loops.append(name)
        elif is_hidden(path.name):
            hidden.append(name)
        elif path.suffix.lower() in endings:
            files.append(name)
        else:
            others.append(name)
    return Listing(*(tuple(sorted(names)) for names in (files, hidden, others, loops)))


def list_folders(folder: Path) -> tuple[list[Path], list[str]]:
    """The visible folders in ``folder`` by name, and the names of hidden ones and of loops.

    Raises:
        ValueError: A name is not UTF-8.
    """
    above = {os.path.realpath(parent) for parent in (folder, *folder.absolute().parents)}
    shown, left_out = [], []
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        _check_name(path)
        if is_hidden(path.name) or os.path.realpath(path) in above:
            left_out.append(path.name)
        else:
            shown.append(path)
    return shown, left_out


def _walk(folder: Path, seen: set[str]) -> Iterator[tuple[Path, bool]]:
    """Files below ``folder`` and hidden folders, and whether each is a link to a folder seen."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = folder / entry.name
        _check_name(path)
        if is_hidden(entry.name) or not entry.is_dir():
            yield path, False
            continue
        real = os.path.realpath(path)
        if real in seen:
            yield path, True
            continue
        seen.add(real)
        yield from _walk(path, seen)


def _check_name(path: Path) -> None:
    """Refuse a name that no report, JSON or Parquet file could hold.

    Raises:
        ValueError: It is not UTF-8.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path.name).decode("latin-1")
        raise ValueError(
            f"{path.parent} holds a name that is not UTF-8 ({shown!r} if it is Latin-1): rename "
            "it, as archives from other systems need"
        ) from None
