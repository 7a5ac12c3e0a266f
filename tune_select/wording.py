"""How messages show a value and guess what was meant. Of the standard library alone."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Collection, Set
from typing import Any

_LONGEST = 200  # characters of a value in a message


_LONGEST_MESSAGE = 2000


def cut(message: str) -> str:
    """A message of others' code, cut where it is long: it may hold a whole list."""
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}..."


def shown(value: Any) -> str:
    """A value as a message shows it, cut where it is long."""
    try:
        text = repr(value)
    except Exception as error:  # a class of somebody else's; the message must still be made
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def did_you_mean(name: object, known: Collection[str]) -> str:
    """The known name that was probably meant, or all that there are."""
    names = sorted(known) if isinstance(known, Set) else list(known)
    # Capitals and spaces around it are the likeliest slips, and of short names no other is close.
    near = [known for known in names if known.strip().casefold() == str(name).strip().casefold()]
    near = near or difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names) or 'none'}"


def not_among(field: str, value: object, known: Collection[str], others: str = "") -> str:
    """That a name is none of those there are, with the one that was probably meant.

    Args:
        field: The setting as the user wrote it.
        value: The name.
        known: Names that would do.
        others: What else would do (``, or an import string``).
    """
    near = did_you_mean(value, known)
    meant = f"; {near}" if near.startswith("did") else ""
    return f"{field} must be one of {', '.join(known)}{others}, got {shown(value)}{meant}"


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def said_of(error: OSError) -> str:
    """An error of the storage: its place, what is wrong there and what helps.

    Args:
        error: The error of Python's or of a file system's library.
    """
    if error.errno is None:
        return cut(str(error))
    remedy = ""
    if error.errno in _FULL:
        remedy = "; make room"
    if error.errno in _CLOSED:
        remedy = "; make it writable"
    place = "" if error.filename is None else f"{os.fspath(error.filename)}: "
    return cut(f"{place}{error.strerror}{remedy}")
