"""What identifies a data set never changes: a history that was recorded on it must stay readable.

The fingerprints were taken before settings became models (October's loaders, torch 2.15, NumPy 2);
they are of generated data, whose bytes are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from trainables.data.corpora import load_corpus
from trainables.data.images import load_images
from trainables.data.sentences import load_sentences
from trainables.data.tabular import load_table
from trainables.detection.data import load_detection
from trainables.detection.synthetic import write_coco_folder

Load = Callable[[Mapping[str, Any]], Any]


@pytest.mark.parametrize(
    ("load", "data", "size", "fingerprint"),
    [
        (load_images, {}, 1294, "b83d9f3a55f9ebce"),
        (
            load_images,
            {"label_noise": 0.1, "imbalance": {"classes": 0.3, "keep": 0.1}, "corruption_seed": 3,
             "train_limit": 500, "image_size": 4},
            364, "f1063bdb2664f6d0",
        ),
        (load_table, {"train_size": 200}, 180, "1786944e9f2ef305"),
        (
            load_table,
            {"train_size": 200, "target_bins": 5, "label_noise": 0.1, "split_seed": 2},
            180, "a9be01c284f3d7f2",
        ),
        (load_sentences, {"train_size": 200}, 180, "072a6923f6c9390e"),
        (
            load_sentences,
            {"train_size": 200, "imbalance": {"classes": 1, "keep": 0.5}, "train_limit": 90},
            44, "8cf058706f571c8e",
        ),
        (load_corpus, {"train_tokens": 3000}, 85, "5ac1b6fac2dfa916"),
        (
            load_corpus,
            {"train_tokens": 3000, "level": "byte", "sequence_length": 20},
            149, "86ff5754e0af135e",
        ),
        (
            load_detection, {"train_size": 20, "test_size": 4, "image_size": 32},
            18, "d2a5114343d59c9c",
        ),
    ],
)  # fmt: skip
def test_generated_data(load: Load, data: dict[str, Any], size: int, fingerprint: str) -> None:
    identity = load(data).identity
    assert (identity.size, identity.fingerprint[:16]) == (size, fingerprint)


def test_files(tmp_path: Path) -> None:
    found = {}
    draws = np.random.default_rng(0)
    pd.DataFrame(
        {
            "a": draws.normal(size=60).round(3),
            "b": draws.choice(["x", "y"], 60),
            "c": draws.integers(0, 3, 60),
            "y": draws.normal(size=60).round(3),
        }
    ).to_csv(tmp_path / "t.csv", index=False)
    table = {"name": "table", "root": tmp_path / "t.csv", "target": "y", "categorical": ["c"]}
    found["b033bef01886e65a"] = load_table({**table, "missing": "impute"})
    for name in "ab":
        (tmp_path / "tree" / name).mkdir(parents=True)
        for i in range(8):
            grey = np.full((20, 20, 3), i * 20, np.uint8)
            Image.fromarray(grey).save(tmp_path / "tree" / name / f"{i}.bmp")
    tree = {"name": "image_folder", "root": tmp_path / "tree", "image_size": 16}
    found["df6272731283ead8"] = load_images(tree)
    white = {"background": "white", "value_range": [0, 4095]}
    found["e8b3694a738b8c9b"] = load_images({**tree, **white})
    write_coco_folder(tmp_path / "coco", {"train2017": 6, "val2017": 3}, size_px=32)
    coco = {"name": "coco", "root": tmp_path / "coco", "fraction": 0.5, "background": [1, 2, 3]}
    coco |= {"validation_fraction": 0}  # of three pictures
    found["74a9d0ce7af54805"] = load_detection(coco)
    pictures = draws.integers(0, 255, (60, 6, 6), dtype=np.uint8)
    np.savez(
        tmp_path / "s.npz",
        x_train=pictures,
        y_train=np.array(["a", "b", "c"])[np.arange(60) % 3],
        x_test=np.zeros((6, 6, 6), np.uint8),
        y_test=np.array(["a", "b", "c"] * 2),
    )
    found["f5c5b1bd6b104284"] = load_images({"name": "arrays", "root": tmp_path / "s.npz"})
    for fingerprint, data in found.items():
        assert data.identity.fingerprint[:16] == fingerprint
