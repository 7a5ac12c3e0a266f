"""What ``data check`` prints, of every kind of data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from trainables import (
    ImageClassification,
    LanguageModel,
    ObjectDetection,
    TabularRegression,
    TextClassification,
)
from trainables.base import SelectionTrainable


def lines(trainable: type[SelectionTrainable], **data: object) -> list[str]:
    return trainable.describe(trainable.load_dataset({"data": data}))


def test_images_in_memory() -> None:
    name, sizes, classes, images = lines(ImageClassification, name="digits", train_limit=100)
    assert name.startswith("digits: 100 training examples, ")
    assert sizes == "examples: train 100, validation 144, test 359"
    assert classes.startswith("classes: 10: 0 (10), 1 (10)")
    assert images == "images: 1 x 8 x 8, uint8, values 0 to 16"


def test_a_tree_says_what_it_left_out(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(4):
                pixels = np.full((20, 20), 1000 * i, np.float32)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{i}.tif")
    (tmp_path / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "val" / "dog" / "0.tif").write_bytes(b"")
    shown = lines(ImageClassification, name="image_folder", root=str(tmp_path), image_size=16,
                  broken="skip", validation_fraction=0.25)  # fmt: skip
    assert shown[1:4] == [
        "examples: train 6, validation 2, test 7",
        "classes: 2: cat (3), dog (3)",
        "pictures: cropped to 16 pixels; background (128, 128, 128)",
    ]
    assert shown[4] == "pictures of 32 bits: 0 is black, 65535 white"
    assert shown[5] == "left out: 1 hidden files or folders (train/cat/.DS_Store)"
    assert "left out: 1 pictures that cannot be read (image " in shown[6]
    assert "0.tif cannot be read: the file is empty" in shown[6]


def test_tables_texts_corpora_and_boxes() -> None:
    assert "features: 1 after encoding" in lines(TabularRegression, name="linear", train_size=100)
    texts = lines(TextClassification, name="opinions", train_size=100, test_size=20)
    assert texts[1] == "examples: train 90, validation 10, test 20"
    assert texts[-1] == "empty texts: 0 in training"
    corpus = lines(LanguageModel, name="grammar", train_tokens=4000)
    assert "tokens: train 4,000" in corpus[2]
    boxes = lines(ObjectDetection, name="shapes", train_size=10, test_size=4, image_size=32)
    assert boxes[1].startswith("train: 9 pictures, ")
    assert boxes[-1].startswith("categories: 3, with boxes to train on: circle (")
