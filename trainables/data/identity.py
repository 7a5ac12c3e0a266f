"""What identifies the training examples that a history's indices point into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_select.history import DatasetIdentity

__all__ = ["DatasetIdentity", "fingerprint"]


def fingerprint(arrays: Iterable[NDArray[Any]], settings: Mapping[str, Any]) -> str:
    """SHA-256 over arrays (values, shapes, dtypes, order) and JSON-able settings.

    Costs about a second per gigabyte, once per load.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
