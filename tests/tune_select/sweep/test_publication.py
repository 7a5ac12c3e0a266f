"""Which pictures a sweep keeps for its report."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis import extreme_examples, load
from analysis.questions.pictures import Examples, load_examples
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.questions.methods.test_example_losses import records, write_losses
from tests.analysis.synthetic import write_history
from tune_select.sweep.publication import keep_pictures

N = 200
LABELS = np.arange(N) % 2


class Pictures:
    """A trainable whose example i is a picture of the brightness i."""

    @classmethod
    def pictures(cls, dataset: Any, examples: np.ndarray) -> dict[str, Any]:
        image = np.repeat(examples, 64).reshape(-1, 8, 8).astype(np.uint8)
        return {"image": image, "label": LABELS[examples], "labels": LABELS}


class Unpictured:
    """A trainable of texts."""


def kept(folder: Path, trainable: type) -> Examples | None:
    plan: Any = SimpleNamespace(trainable=trainable)
    keep_pictures(load(folder), plan, object())
    return load_examples(folder)


@pytest.mark.parametrize("with_history", [True, False])
def test_pictures_of_both_galleries_are_kept(tmp_path: Path, with_history: bool) -> None:
    folder = write_hand_sweep(tmp_path)
    write_losses(folder, "full-0", records(1, np.arange(N, dtype=float).tolist()))
    wanted = {*range(24), *range(N - 24, N)}
    if with_history:
        favoured = extreme_examples(write_history(folder / "history" / "seed0", n=N), LABELS)
        wanted |= set(favoured.tolist())
    examples = kept(folder, Pictures)
    assert examples is not None
    assert examples.example.tolist() == sorted(wanted)
    assert examples.image[:, 0, 0].tolist() == sorted(wanted)
    assert examples.labels.tolist() == LABELS.tolist()
    assert examples.history == ("seed0" if with_history else "")


def test_without_pictures_losses_or_history_nothing_is_kept(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    assert kept(folder, Pictures) is None
    write_losses(folder, "full-0", records(1, [1.0, 2.0]))  # of other examples than the pictures
    assert kept(folder, Pictures) is None
    write_losses(folder, "full-0", records(1, np.arange(N, dtype=float).tolist()))
    assert kept(folder, Unpictured) is None
