"""Images and labels from NumPy's files: ``x_train``, ``y_train``, ``x_test``, ``y_test``, ..."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trainables.data.reading.listing import is_hidden
from trainables.data.reading.omissions import Omission, omission

_NEEDED = ("x_train", "y_train", "x_test", "y_test")
_OPTIONAL = ("x_val", "y_val")
_KNOWN = (*_NEEDED, *_OPTIONAL)
_BYTES_AMONG_SHARES = 25.0
"""Values of 0 to 1 in one split and above this in another are no two samples of one thing."""


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], tuple[Omission, ...]]:
    """The arrays of a ``.npz`` file or of a folder of ``.npy`` files, checked.

    Args:
        path: Holds ``x_train``, ``y_train``, ``x_test`` and ``y_test``, and may hold ``x_val`` and
            ``y_val``. Nothing else is opened.

    Returns:
        The arrays by name, and what else is there.

    Raises:
        FileNotFoundError: There is no such file, or an array is missing.
        ValueError: A file is damaged or holds Python objects, images are not numbers, a split is
            empty or has images without labels, or splits are scaled differently.
    """
    arrays, others = _from_folder(path) if path.is_dir() else _from_archive(path)
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise FileNotFoundError(
            f"data.root={path} has no {', '.join(missing)}: name: arrays needs x_train, y_train, "
            "x_test, y_test (and may have x_val, y_val)"
            + (f"; it has {', '.join(others[:5])}" if others else "")
        )
    given = [name for name in _OPTIONAL if name in arrays]
    if len(given) == 1:
        other = next(name for name in _OPTIONAL if name not in given)
        raise ValueError(
            f"data.root={path} has {given[0]} but no {other}: add it, or remove {given[0]}"
        )
    for split in ("train", "test", "val"):
        if f"x_{split}" in arrays:
            _check_split(arrays[f"x_{split}"], arrays[f"y_{split}"], split, path)
    _check_scales({name: arrays[name] for name in arrays if name.startswith("x_")}, path)
    return arrays, omission("arrays of other names", others)


def _from_folder(path: Path) -> tuple[dict[str, NDArray[Any]], list[str]]:
    files = {file.stem: file for file in sorted(path.glob("*.npy")) if not is_hidden(file.name)}
    arrays = {stem: _array(file) for stem, file in files.items() if stem in _KNOWN}
    return arrays, [file.name for stem, file in files.items() if stem not in _KNOWN]


def _from_archive(path: Path) -> tuple[dict[str, NDArray[Any]], list[str]]:
    if not path.exists():
        raise FileNotFoundError(f"data.root={path} does not exist: name a .npz file or a folder")
    if not path.is_file():
        raise ValueError(f"data.root={path} is not a regular file: name a .npz file or a folder")
    name = ""
    try:
        # Opened here: NumPy forgets to close a file that is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {}
            for name in archive.files:
                if name in _KNOWN:
                    arrays[name] = archive[name]
            return arrays, [name for name in archive.files if name not in _KNOWN]
    # NumPy's own words are of headers and pickles; the user's are of the file.
    except (
        OSError,
        ValueError,
        EOFError,
        AttributeError,
        KeyError,
        TypeError,
        BadZipFile,
    ) as error:
        raise ValueError(_unsound(f"data.root={path}", name, error, "numpy.savez")) from error


def _array(file: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(_unsound(str(file), "", error, "numpy.save")) from error
    return array


def _unsound(place: str, name: str, error: Exception, writer: str) -> str:
    if "Object arrays" in str(error):
        what = f"{name} of {place}" if name else place
        return (
            f"{what} holds Python objects, which are never unpickled: write it with {writer} as "
            "numbers or text (array.astype(int) or array.astype(str))"
        )
    return (
        f"{place} is not a sound {'.npz' if writer.endswith('savez') else '.npy'} file of numbers "
        f"and text ({error}): write it with {writer}"
    )


def _check_split(images: NDArray[Any], labels: NDArray[Any], split: str, path: Path) -> None:
    if images.dtype.kind not in "biuf":
        raise ValueError(
            f"x_{split} in {path} must hold numbers as images, got {images.dtype}: convert it "
            "before saving"
        )
    if images.ndim == 0 or not len(images):
        raise ValueError(
            f"x_{split} in {path} holds no example: "
            + ("remove it and y_val" if split == "val" else "fill it")
        )
    if labels.ndim and len(images) != len(labels):
        raise ValueError(
            f"x_{split} and y_{split} in {path} differ in length: {len(images)}, {len(labels)}"
        )


def _check_scales(images: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Refuse splits of which one goes to 1 and another to 255: a model would see black or white."""
    highest = {name: float(np.max(array)) for name, array in images.items()}
    shares = [name for name, most in highest.items() if 0 < most <= 1]
    others = [name for name, most in highest.items() if most > _BYTES_AMONG_SHARES]
    if shares and others:
        raise ValueError(
            f"{shares[0]} in {path} holds values up to {highest[shares[0]]:g} and {others[0]} up "
            f"to {highest[others[0]]:g}: scale them alike"
        )
