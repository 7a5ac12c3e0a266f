"""Contact sheets of examples as PNG."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from analysis.questions.pictures import COUNT, MAX_CLASSES, PER_CLASS, Examples, highest, lowest
from analysis.tables import Gallery

Array = npt.NDArray[np.float64]
_GAP = 2  # transparent pixels between pictures


@dataclass(frozen=True)
class Scoring:
    """What the examples of a gallery are ordered by.

    Attributes:
        prefix: How the galleries' file names begin.
        plural: What there is of it, in a sentence: "with the lowest ...".
        column: The column of the numbers.
        values: What the numbers are, as a caption's first words.
    """

    prefix: str
    plural: str
    column: str
    values: str


W_SCORES = Scoring(prefix="gallery", plural="w-scores", column="w_score", values="Scores")


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


def galleries(examples: Examples, scores: Array, scoring: Scoring = W_SCORES) -> list[Gallery]:
    """The examples with the lowest and highest scores, over all and per class.

    Of w-scores Figs. 7-8 of Cai et al., of losses Fig. 2 of Jiang et al. 2019.

    Args:
        examples: The examples with pictures of them; one without a picture is left out.
        scores: The scores of every training example (n,).
        scoring: What the scores are.
    """
    classes = np.unique(examples.labels)
    shown = classes[:MAX_CLASSES]
    named = ", ".join(examples.class_name(int(label)) for label in shown)
    if len(shown) < len(classes):
        named += f" (the first {len(shown)} of {len(classes)} classes)"
    overall: list[Gallery | None] = []
    by_class: list[Gallery | None] = []
    for which, pick in (("lowest", lowest), ("highest", highest)):
        name, title = f"{scoring.prefix}_{which}", f"{which.capitalize()} {scoring.plural}"
        chosen = [pick(scores, COUNT)]
        words = f"The {len(chosen[0])} training examples with the {which} {scoring.plural}"
        sheet = _Sheet(name, title, words, scoring)
        overall.append(sheet.of(examples, scores, chosen))
        if len(classes) > 1:
            members = [np.flatnonzero(examples.labels == label) for label in shown]
            rows = [mine[pick(scores[mine], PER_CLASS)] for mine in members]
            words = (
                f"The {PER_CLASS} examples of each class with the {which} {scoring.plural}; "
                f"rows: {named}"
            )
            sheet = _Sheet(f"{name}_by_class", f"{title} by class", words, scoring)
            by_class.append(sheet.of(examples, scores, rows))
    return [made for made in (*overall, *by_class) if made is not None]


@dataclass(frozen=True)
class _Sheet:
    """One gallery's names and words, before its pictures."""

    name: str
    title: str
    words: str
    scoring: Scoring

    def of(
        self, examples: Examples, scores: Array, rows: Sequence[npt.NDArray[np.int64]]
    ) -> Gallery | None:
        """The gallery of these examples; ``None`` where none has a picture."""
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
        frame[self.scoring.column] = scores[flat]
        return Gallery(
            self.name,
            self.title,
            png(sheet),
            sheet.shape[1] * zoom,
            sheet.shape[0] * zoom,
            self.words,
            self._caption(scores, flat),
            frame,
        )

    def _caption(self, scores: Array, shown: Sequence[int]) -> str:
        own = scores[shown]
        if own.max() == 0:
            return (
                f"{self.words}. None of them was ever selected: they are a fixed random choice "
                f"among the {int((scores == 0).sum()):,} with the score 0."
            )
        return f"{self.words}. {self.scoring.values} {own.min():.3g} to {own.max():.3g}."
