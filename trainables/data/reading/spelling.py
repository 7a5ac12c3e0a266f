"""Texts that people take for the same one: two forms of Unicode, other capitals, marks unseen."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable


def composed(text: str) -> str:
    """A text in Unicode's form C; macOS writes an accented letter as two characters."""
    return unicodedata.normalize("NFC", text)


def one_spelling(texts: Iterable[str]) -> dict[str, str]:
    """The spelling that each text gets, so that two forms of one text are one.

    Only texts that differ in nothing but their Unicode form change, to form C: what has one form
    alone keeps it, and with it the identity of the data set.
    """
    forms: defaultdict[str, set[str]] = defaultdict(set)
    for text in texts:
        forms[composed(text)].add(text)
    return {
        text: form if len(texts) > 1 else text for form, texts in forms.items() for text in texts
    }


def look_alikes(texts: Iterable[str]) -> list[list[str]]:
    """Groups of different texts that read alike: ``Red`` and ``red``, or with a mark of no width.

    They stay apart, since in some data they are (the letters ``A`` and ``a``), and are shown.
    """
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for text in texts:
        groups[_as_read(text)].add(text)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def alike_remark(texts: Iterable[str]) -> str:
    """A remark on the first of such groups; empty where there is none."""
    groups = look_alikes(texts)
    if not groups:
        return ""
    more = f", and {len(groups) - 1} more such group(s)" if len(groups) > 1 else ""
    return f"{' and '.join(map(ascii, groups[0]))} look alike{more}"


def _as_read(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    seen = (letter for letter in plain if unicodedata.category(letter) != "Cf")
    return " ".join("".join(seen).split())
