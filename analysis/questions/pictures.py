"""``examples.npz``: the pictures of the galleries, written by the sweep, read by the report.

Arrays, none of them pickled:

- ``example`` int64 (m,): positions in the training set;
- ``image`` uint8 (m, H, W) or (m, H, W, 3);
- ``label`` int64 (m,): their classes;
- ``labels`` int64 (n,): classes of the whole training set, for the balance of classes;
- ``class_names`` (optional) str (c,): names by class number;
- ``history`` (optional) str (): key of the history whose extremes they are; its first by default.

They may be the extremes of a history, of the losses that trials recorded, or of both.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.files import write_whole
from analysis.questions.histories import w_scores
from analysis.results.history_files import HistoryRecord, load_history

Integers = npt.NDArray[np.int64]

COUNT, PER_CLASS, MAX_CLASSES = 24, 8, 20
"""Examples of a gallery, of a class in one, and classes shown."""


@dataclass(frozen=True)
class Examples:
    """Pictures of some training examples, and the classes of all.

    Attributes:
        example: int64 (m,) positions in the training set.
        image: uint8 (m, H, W) or (m, H, W, 3).
        label: int64 (m,).
        labels: int64 (n,).
        class_names: The class names by class number; empty where none are known.
        history: Key of the history they belong to; empty for the first.
    """

    example: Integers
    image: npt.NDArray[np.uint8]
    label: Integers
    labels: Integers
    class_names: tuple[str, ...] = ()
    history: str = ""

    def class_name(self, label: int) -> str:
        """The class's name, or its number."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)


def extreme_examples(
    history: HistoryRecord | str | os.PathLike[str],
    labels: npt.ArrayLike,
    *,
    count: int = COUNT,
    per_class: int = PER_CLASS,
) -> Integers:
    """The examples whose pictures the galleries need, int64 (m,), sorted.

    Args:
        history: Or the path of its folder.
        labels: int64 (n,) classes of the training set; all zero without classes.
        count: Lowest and highest over all.
        per_class: Lowest and highest of each class.
    """
    record = history if isinstance(history, HistoryRecord) else load_history(Path(history))
    return extremes(w_scores(record), labels, count=count, per_class=per_class)


def extremes(
    scores: npt.NDArray[np.float64],
    labels: npt.ArrayLike,
    *,
    count: int = COUNT,
    per_class: int = PER_CLASS,
) -> Integers:
    """The examples with the lowest and the highest scores, int64 (m,), sorted.

    Args:
        scores: The scores of every training example (n,).
        labels: int64 (n,) classes of the training set; all zero without classes.
        count: Lowest and highest over all.
        per_class: Lowest and highest of each class.
    """
    classes = np.asarray(labels, dtype=np.int64)
    wanted = [*lowest(scores, count), *highest(scores, count)]
    for label in np.unique(classes)[:MAX_CLASSES]:
        mine = np.flatnonzero(classes == label)
        wanted += [*mine[lowest(scores[mine], per_class)], *mine[highest(scores[mine], per_class)]]
    return np.unique(np.asarray(wanted, dtype=np.int64))


def lowest(scores: npt.NDArray[np.float64], count: int) -> Integers:
    """Positions of the lowest scores, lowest first; ties in a fixed random order.

    Many examples were never selected: by position, ties would all come from the file's beginning.
    """
    order = np.random.default_rng(0).permutation(len(scores))
    return np.asarray(order[np.argsort(scores[order], kind="stable")][:count], dtype=np.int64)


def highest(scores: npt.NDArray[np.float64], count: int) -> Integers:
    """Positions of the highest scores, highest first."""
    return lowest(-scores, count)


def write_examples(
    folder: str | os.PathLike[str],
    *,
    example: npt.ArrayLike,
    image: npt.ArrayLike,
    label: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_names: Sequence[str] = (),
    history: str = "",
) -> Path:
    """Write ``examples.npz`` into a results folder; arguments as in the module's description.

    Raises:
        ValueError: Shapes or types do not fit together.
    """
    arrays: dict[str, Any] = {
        "example": np.asarray(example, dtype=np.int64),
        "image": np.asarray(image),
        "label": np.asarray(label, dtype=np.int64),
        "labels": np.asarray(labels, dtype=np.int64),
    }
    if class_names:
        arrays["class_names"] = np.asarray([str(name) for name in class_names])
    if history:
        arrays["history"] = np.asarray(history)
    _check(arrays)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return write_whole(Path(folder) / "examples.npz", content.getvalue())


def load_examples(folder: str | os.PathLike[str]) -> Examples | None:
    """Read ``examples.npz``; ``None`` where there is none.

    Raises:
        ValueError: It is damaged, or its arrays do not fit together.
    """
    path = Path(folder) / "examples.npz"
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        _check(arrays)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    return Examples(
        example=arrays["example"].astype(np.int64),
        image=arrays["image"],
        label=arrays["label"].astype(np.int64),
        labels=arrays["labels"].astype(np.int64),
        class_names=tuple(str(name) for name in arrays.get("class_names", ())),
        history=str(arrays.get("history", "")),
    )


def _check(arrays: dict[str, Any]) -> None:
    missing = [name for name in ("example", "image", "label", "labels") if name not in arrays]
    if missing:
        raise ValueError(f"examples.npz lacks {', '.join(missing)}")
    m, image = arrays["example"].shape, arrays["image"]
    if image.dtype != np.uint8 or image.ndim not in (3, 4) or image.shape[3:] not in ((), (3,)):
        raise ValueError(f"image must be uint8 (m, H, W[, 3]), got {image.dtype} {image.shape}")
    if len(m) != 1 or arrays["label"].shape != m or image.shape[:1] != m:
        raise ValueError(
            f"example, image and label must have one length, got {m}, {image.shape[:1]}, "
            f"{arrays['label'].shape}"
        )
