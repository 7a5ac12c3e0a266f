"""A digest of a dataset that anybody wrote, from its length and some of its items."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tune_select.streams import kept_randomness

_ITEMS = 64


def length_of(dataset: Any) -> int:
    """Number of examples.

    Raises:
        ValueError: The dataset has no length, is empty, or is a collection of something else.
    """
    kind = type(dataset).__name__
    if isinstance(dataset, Mapping) and 0 not in dataset:
        raise ValueError(
            f"dataset of type {kind} holds {', '.join(map(str, list(dataset)[:8]))} by name and no "
            "examples by position: give one of these, or a Dataset over them (a map-style dataset)"
        )
    if hasattr(dataset, "iloc"):
        raise ValueError(
            f"dataset of type {kind} is a table whose items are columns: give a Dataset of its "
            "rows, such as a TensorDataset of its columns as tensors"
        )
    try:
        size = len(dataset)
    except TypeError:
        raise ValueError(
            f"dataset of type {kind} has no length: selecting and replaying name "
            "examples by their position, so it needs __len__ and __getitem__ (a map-style dataset)"
        ) from None
    if size == 0:
        raise ValueError(f"dataset of type {kind} is empty")
    return size


def fingerprint_of(dataset: Any) -> str:
    """SHA-256 of the length and of up to 64 items spread evenly over the dataset, in hexadecimal.

    Items are read twice under the same global random states, so that a random augmentation counts
    as one item; those states are left as they were.

    Raises:
        ValueError: An item differs when read again, or holds what has no defined bytes.
    """
    size = length_of(dataset)
    chosen = np.unique(np.linspace(0, size - 1, min(size, _ITEMS)).round().astype(int))
    digest = hashlib.sha256(str(size).encode())
    for number, position in enumerate(chosen):
        read = _digest_of_item(dataset, int(position))
        if number < 2 and read != _digest_of_item(dataset, int(position)):
            raise ValueError(
                f"item {position} of the dataset is another one when read again, so that nothing "
                "tells this dataset from others: give fingerprint=, a text that changes when the "
                "examples or their order do"
            )
        digest.update(read)
    return digest.hexdigest()


def _digest_of_item(dataset: Any, position: int) -> bytes:
    digest = hashlib.sha256()
    with kept_randomness(0):
        item = dataset[position]
    for part in _parts(item):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()


def _parts(value: Any) -> Iterator[bytes]:
    """A value as bytes, with the types that give them their meaning."""
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # a tensor
        value = value.detach().cpu()
        dtype = str(value.dtype)
        value = value.float().numpy() if "bfloat16" in dtype else value.numpy()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype != object:
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, bool | int | float | complex | str | bytes | type(None)):
        yield f"{type(value).__name__}:{value!r}".encode()
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, Sequence | np.ndarray):
        yield f"{len(value)} parts".encode()
        for part in value:
            yield from _parts(part)
    elif hasattr(value, "__array_interface__") or hasattr(value, "__array__"):  # pictures
        yield from _parts(np.asarray(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _parts({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    else:
        raise ValueError(
            f"items of the dataset hold a {type(value).__name__}, whose content has no defined "
            "bytes: give fingerprint=, a text that changes when the examples or their order do"
        )
