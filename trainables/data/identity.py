"""What identifies the training examples that a history's indices point into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DatasetIdentity:
    """Identity of a training split.

    Attributes:
        name: The data set's name.
        size: Number n of training examples.
        fingerprint: SHA-256, hexadecimal, over examples, labels and the settings that shaped them.
    """

    name: str
    size: int
    fingerprint: str


def fingerprint(arrays: Iterable[NDArray[Any]], settings: Mapping[str, Any]) -> str:
    """SHA-256 over arrays (values, shapes, dtypes, order) and JSON-able settings.

    Hashing costs about a second per gigabyte, once per load.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
