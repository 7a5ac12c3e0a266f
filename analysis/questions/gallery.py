"""Contact sheets of examples as PNG."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from analysis.questions.pictures import COUNT, MAX_CLASSES, PER_CLASS, Examples, highest, lowest
from analysis.tables import Gallery

Array = npt.NDArray[np.float64]
_GAP = 2  # transparent pixels between pictures


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An RGBA picture uint8 (H, W, 4) as a PNG file.

    Raises:
        ValueError: ``pixels`` has another shape or type.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise ValueError(f"pixels must be uint8 (H, W, 4), got {pixels.dtype} {pixels.shape}")
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return content.getvalue()


def contact_sheet(rows: Sequence[Sequence[npt.NDArray[np.uint8]]]) -> npt.NDArray[np.uint8]:
    """Rows of pictures (H, W) or (H, W, 3) as one RGBA picture with transparent gaps."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.zeros(
        (len(rows) * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 4), np.uint8
    )
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            top, left = r * (height + _GAP), c * (width + _GAP)
            tile = image[..., None].repeat(3, axis=2) if image.ndim == 2 else image
            sheet[top : top + height, left : left + width, :3] = tile
            sheet[top : top + height, left : left + width, 3] = 255
    return sheet


def galleries(examples: Examples, scores: Array) -> list[Gallery]:
    """Figs. 7-8: the examples with the lowest and highest w-scores, over all and per class.

    Args:
        examples: With pictures of these examples; one without a picture is left out.
        scores: W-scores (n,).
    """
    classes = np.unique(examples.labels)
    overall_first: list[Gallery] = []
    by_class: list[Gallery] = []
    for name, title, pick in (("lowest", "Lowest", lowest), ("highest", "Highest", highest)):
        chosen = [pick(scores, COUNT)]
        words = f"The {COUNT} training examples with the {name} w-scores"
        overall = _gallery(examples, scores, f"gallery_{name}", f"{title} w-scores", chosen, words)
        if len(classes) > 1:
            shown = classes[:MAX_CLASSES]
            rows = []
            for label in shown:
                mine = np.flatnonzero(examples.labels == label)
                rows.append(mine[pick(scores[mine], PER_CLASS)])
            named = ", ".join(examples.class_name(int(label)) for label in shown)
            words = (
                f"The {PER_CLASS} examples of each class with the {name} w-scores; rows: {named}"
            )
            if len(shown) < len(classes):
                words += f" (the first {len(shown)} of {len(classes)} classes)"
            per_class = _gallery(
                examples,
                scores,
                f"gallery_{name}_by_class",
                f"{title} w-scores by class",
                rows,
                words,
            )
            by_class += [per_class] if per_class is not None else []
        overall_first += [overall] if overall is not None else []
    return [*overall_first, *by_class]


def _gallery(
    examples: Examples,
    scores: Array,
    name: str,
    title: str,
    rows: Sequence[npt.NDArray[np.int64]],
    words: str,
) -> Gallery | None:
    place = {int(e): i for i, e in enumerate(examples.example)}
    found = [[int(e) for e in row if int(e) in place] for row in rows]
    found = [row for row in found if row]
    if not found:
        return None
    flat = [e for row in found for e in row]
    if len(found) == 1:  # one long row reads better as a block
        found = [found[0][i : i + PER_CLASS] for i in range(0, len(found[0]), PER_CLASS)]
    sheet = contact_sheet([[examples.image[place[e]] for e in row] for row in found])
    zoom = math.ceil(40 / examples.image.shape[1])
    frame = pd.DataFrame({"example": flat})
    frame["label"] = [examples.class_name(int(examples.labels[e])) for e in flat]
    frame["w_score"] = scores[flat]
    caption = f"{words}. Scores {scores[flat].min():.3g} to {scores[flat].max():.3g}."
    if scores[flat].max() == 0:
        caption = (
            f"{words}. None of them was ever selected: they are a fixed random choice among the "
            f"{int((scores == 0).sum()):,} with the score 0."
        )
    return Gallery(
        name,
        title,
        png(sheet),
        sheet.shape[1] * zoom,
        sheet.shape[0] * zoom,
        words,
        caption,
        frame,
    )
