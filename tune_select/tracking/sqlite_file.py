"""Whether a sqlite file can take a sweep's runs; neither MLflow nor a server is asked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tune_select.storage import why_unwritable

LOCK_TIMEOUT_S = 3.0


def sqlite_problem(path: Path) -> str:
    """Why MLflow could not write to a sqlite file, as the end of a sentence; empty where it can.

    A page is written and taken back, since neither the file's permissions nor a lock tell whether
    the journal beside the file can be made. Nothing is left that was not there before.

    Args:
        path: The path of the file, which need not exist.
    """
    if not path.exists():
        why = why_unwritable(path.parent)
        return why and f"whose folder cannot be written ({why}): choose another one or make room"
    if not path.is_file():
        return "which is not a file: name one, such as sqlite:///path/to/mlflow.db"
    try:
        # Transactions are ours alone; Python would begin them by rules of its own.
        with closing(
            sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
        ) as database:
            database.execute("begin immediate")
            version = database.execute("pragma user_version").fetchone()[0]
            database.execute(f"pragma user_version = {version + 1}")
            database.execute("rollback")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return "which another process has locked: end that, or name another file"
        return f"which cannot be written ({error}): name another file, or make it writable"
    except sqlite3.DatabaseError as error:  # "file is not a database", "malformed"
        return f"which is no sound sqlite database ({error}): name another file"
    return ""


def is_blank(path: Path) -> bool:
    """Whether MLflow would make its tables anew: there is no such file, or nothing in it.

    Args:
        path: The path of a file that can be read.

    Raises:
        ValueError: Somebody else's tables are in it, among which MLflow would make its own.
    """
    if not path.exists():
        return True
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        names = {row[0] for row in database.execute("select name from sqlite_master")}
    if names and not {"experiments", "runs", "metrics"} <= names:
        raise ValueError(
            f"which holds the tables of something else than MLflow ({', '.join(sorted(names)[:5])})"
            ": name a file of its own"
        )
    return not names


class WatchedFile:
    """Tells when a file that is open has been deleted or replaced: writing to it still succeeds.

    Args:
        path: The path of the file; ``None`` for nothing to watch.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._first: tuple[int, int] | None = None

    def is_lost(self) -> bool:
        """Whether the file is no longer the one that was there first."""
        if self._path is None:
            return False
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return self._first is not None
        mark = (found.st_dev, found.st_ino)
        self._first = self._first or mark
        return mark != self._first
