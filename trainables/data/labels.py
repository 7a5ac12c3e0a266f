"""Labels of any kind as classes 0 to C - 1.

Labels are whole numbers (also as floats, and negative ones), truth values or text. The classes are
the labels that occur in training examples, in ascending order: a network gets an output for each of
them and for nothing else. A label that only held-out examples carry cannot be learnt, and is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.reading.spelling import one_spelling

_FEW = 20
_SHOWN = 5


def class_numbers(
    labels: Mapping[str, NDArray[Any]], training: str, where: object
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Number the classes of several splits by the training split's labels.

    Args:
        labels: (n,) or (n, 1) of each split, by the name that errors use.
        training: Name of the training split among them.
        where: The file or folder, for errors.

    Returns:
        The labels of the classes as text, by class number (empty where each label is its own
        number), and int64 (n,) class numbers of each split.

    Raises:
        ValueError: Labels of another kind, of which each example has its own, or that no training
            example carries.
    """
    plain = {name: _plain(array, name, where) for name, array in labels.items()}
    texts = sorted(name for name, array in plain.items() if array.dtype.kind == "U")
    if texts and len(texts) < len(plain):
        others = ", ".join(sorted(set(plain) - set(texts)))
        raise ValueError(
            f"{', '.join(texts)} in {where} hold text but {others} hold numbers: use one kind of "
            "labels"
        )
    plain = _one_spelling(plain)
    classes = np.unique(plain[training])
    if len(classes) == len(plain[training]) > _FEW:
        raise ValueError(
            f"{training} in {where} has a label of its own for each of its {len(classes)} "
            "examples: these are identifiers and not classes"
        )
    for name, array in plain.items():
        unknown = np.setdiff1d(array, classes)
        if len(unknown):
            shown = ", ".join(map(str, unknown[:_SHOWN])) + (", ..." if len(unknown) > 5 else "")
            raise ValueError(
                f"{name} in {where} has {len(unknown)} label(s) that no example of {training} "
                f"carries: {shown}. A classifier cannot learn them: remove these examples, or add "
                "some to the training set"
            )
    numbers = {name: np.searchsorted(classes, array) for name, array in plain.items()}
    names = tuple(str(label) for label in classes.tolist())
    as_they_are = names == tuple(map(str, range(len(classes))))
    return () if as_they_are else names, {n: a.astype(np.int64) for n, a in numbers.items()}


def _plain(array: NDArray[Any], name: str, where: object) -> NDArray[Any]:
    """(n,) int64, or text."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        remedy = ": of one-hot labels take argmax(1)" if array.ndim == 2 else ""
        raise ValueError(
            f"{name} in {where} must hold one label for each example, got shape {array.shape}"
            f"{remedy}"
        )
    kind = array.dtype.kind
    if kind in "US":
        return _texts(array, name, where)
    if kind not in "biuf":
        raise ValueError(
            f"{name} in {where} must hold integer classes, truth values or text as labels, got "
            f"{array.dtype}"
        )
    numbers = array.astype(np.float64)
    whole = (numbers == np.rint(numbers)) & (np.abs(numbers) <= 2.0**62) if kind in "uf" else True
    wrong = np.flatnonzero(~np.broadcast_to(whole, array.shape))
    if len(wrong):
        raise ValueError(
            f"{name} in {where} must hold integer classes as labels, got {array[wrong[0]]} at "
            f"position {wrong[0]}"
        )
    return array.astype(np.int64)


def _texts(array: NDArray[Any], name: str, where: object) -> NDArray[Any]:
    """(n,) text without the spaces around it, which are no part of a label."""
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{name} in {where} must hold UTF-8 text as labels ({error}): decode them before "
                "saving"
            ) from error
    array = np.char.strip(array)
    empty = np.flatnonzero(array == "")
    if len(empty):
        raise ValueError(
            f"{name} in {where} holds an empty label at position {empty[0]} ({len(empty)} in all): "
            "name it, or remove these examples"
        )
    return array


def _one_spelling(splits: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Labels that differ in their Unicode form alone become one."""
    if any(array.dtype.kind != "U" for array in splits.values()):
        return dict(splits)
    spelling = one_spelling(str(label) for array in splits.values() for label in np.unique(array))
    if all(label == written for label, written in spelling.items()):
        return dict(splits)
    return {
        name: np.array([spelling[str(label)] for label in array])
        if array.dtype.kind == "U"
        else array
        for name, array in splits.items()
    }
