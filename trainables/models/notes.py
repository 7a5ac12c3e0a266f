"""What was changed about a model so that it fits the data, for people to read."""

from __future__ import annotations

import logging
from weakref import WeakKeyDictionary

from torch import nn

_logger = logging.getLogger(__name__)
_notes: WeakKeyDictionary[nn.Module, list[str]] = WeakKeyDictionary()


def note(model: nn.Module, text: str) -> None:
    """Say that ``model`` is no longer as its factory made it.

    Kept beside the model, not in it: a user's class is left alone and may have any attributes.
    """
    _notes.setdefault(model, []).append(text)
    _logger.info("%s: %s", type(model).__name__, text)


def notes_of(model: nn.Module) -> tuple[str, ...]:
    """Everything that was said of ``model``, in order."""
    return tuple(_notes.get(model, ()))
