"""How messages show a value and guess what was meant. Of the standard library alone."""

from __future__ import annotations

import difflib
import errno
import os
import re
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
    """The known name that was probably meant, or all that there are.

    Capitals, spaces and signs are the likeliest slips (``Ada-Boost``), then letters (``cahced``),
    then initials (``lr``) and a name inside a longer one (``ASHAScheduler``, ``decay``).

    Args:
        name: What was written.
        known: What could have been.
    """
    names = list(dict.fromkeys(sorted(known) if isinstance(known, Set) else known))
    written = _letters(name)
    near = [one for one in names if _letters(one) == written]
    near = near or difflib.get_close_matches(str(name), names, n=1)
    near = near or [one for one in names if len(written) > 1 and _initials(one) == written]
    near = near or sorted((one for one in names if _is_in(one, written)), key=len, reverse=True)
    near = near or sorted((one for one in names if _is_in(written, one)), key=len)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names) or 'none'}"


def _letters(name: object) -> str:
    return "".join(sign for sign in str(name).casefold() if sign.isalnum())


def _is_in(part: str, whole: str) -> bool:
    return len(_letters(part)) > 3 and _letters(part) in _letters(whole)


def _initials(name: str) -> str:
    return "".join(part[0] for part in re.split(r"[\W_]+", name.casefold()) if part)


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
