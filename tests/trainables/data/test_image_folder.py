"""Trees of image files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from trainables.data.augmentation import folder_augmentation
from trainables.data.description import describe_images
from trainables.data.image_folder import FolderImages, FolderPart, FolderReader
from trainables.data.images import load_images
from trainables.data.settings.images import ImageSettings
from trainables.tasks.images import FolderTask


def tree(root: Path, splits: tuple[str, ...] = ("train", "val"), count: int = 10) -> Path:
    generator = np.random.default_rng(0)
    for split in splits:
        for shade, name in ((40, "dark"), (200, "light")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(-30, 30, (20, 26 + number, 3))
                Image.fromarray((shade + noise).astype(np.uint8)).save(folder / f"{number}.png")
    return root


def load(root: Path, **data: object) -> FolderImages:
    loaded = load_images({"name": "image_folder", "root": str(root), "image_size": 16, **data})
    assert isinstance(loaded, FolderImages)
    return loaded


def task(data: FolderImages, workers: int = 0) -> FolderTask:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, data.classes))
    return FolderTask(model, data, workers=workers)


def test_imagenets_layout_is_split_and_measured(tmp_path: Path) -> None:
    data = load(tree(tmp_path), validation_fraction=0.2)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [16, 4, 20]
    assert np.bincount(data.validation.labels).tolist() == [2, 2]
    assert data.classes == 2
    assert data.mean == pytest.approx([120, 120, 120], abs=3)
    assert data.std == pytest.approx([80, 80, 80], abs=6)


def test_a_validation_folder_is_used_when_there_is_a_test_folder(tmp_path: Path) -> None:
    data = load(tree(tmp_path, ("train", "val", "test")))
    assert [len(p) for p in (data.train, data.validation, data.test)] == [20, 20, 20]
    assert all(str(file).startswith("val/") for file in data.validation.files)


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    root = tree(tmp_path)
    before = load(root).identity
    assert load(root).identity == before
    Image.new("RGB", (64, 64)).save(root / "train" / "dark" / "3.png")
    assert load(root).identity.fingerprint != before.fingerprint


def test_augmentation_follows_the_generator_and_evaluation_has_none(tmp_path: Path) -> None:
    reader = task(load(tree(tmp_path)))
    indices = torch.tensor([3, 0, 7])
    plain = reader.batch(indices)
    assert plain.inputs.shape == (3, 3, 16, 16)
    assert torch.equal(reader.batch(indices).inputs, plain.inputs)
    first, again, other = (
        reader.batch(indices, generator=torch.Generator().manual_seed(seed)).inputs
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert plain.targets.tolist() == reader.labels[indices].tolist()


# Python 3.12 warns of any fork in a process with threads; the workers only decode images.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_workers_change_nothing_but_who_reads(tmp_path: Path) -> None:
    data = load(tree(tmp_path))
    cut = [torch.tensor([4, 1]), torch.tensor([0]), torch.tensor([9, 2, 5])]
    batches = [
        list(task(data, workers).batches(cut, generator=torch.Generator().manual_seed(3)))
        for workers in (0, 2)
    ]
    for here, there in zip(*batches, strict=True):
        assert torch.equal(here.indices, there.indices)
        assert torch.equal(here.inputs, there.inputs)
        assert torch.equal(here.targets, there.targets)


def test_evaluation_and_signals_go_through_the_files(tmp_path: Path) -> None:
    reader = task(load(tree(tmp_path)))
    scores = reader.evaluate("test")
    assert 0 <= scores["accuracy"] <= 1
    signals = reader.signals()
    assert signals.inputs.shape == (len(reader.labels), 768)
    assert torch.equal(signals.labels, reader.labels)


def test_labels_can_be_corrupted(tmp_path: Path) -> None:
    root = tree(tmp_path)
    clean, noisy = load(root), load(root, label_noise=0.5)
    assert (clean.train.labels != noisy.train.labels).mean() == 0.5
    assert clean.identity != noisy.identity


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="image_folder needs <data.root>/train/<class>"):
        load(tmp_path)
    root = tree(tmp_path, ("train",))
    (root / "val").mkdir()
    with pytest.raises(FileNotFoundError, match="val holds no images of the classes"):
        load(root)
    (root / "val").rmdir()
    tree(tmp_path, ("val",))
    data = load(root)
    (root / str(data.train.files[0])).write_bytes(b"no image")
    with pytest.raises(OSError, match=r"dark.* cannot be read.*remove or repair"):
        task(data).batch(torch.arange(len(data.train)))


def litter(root: Path) -> None:
    """What systems and editors leave in a tree."""
    picture = next((root / "train" / "dark").iterdir()).read_bytes()
    for name in (".ipynb_checkpoints", "__MACOSX", "empty"):
        (root / "train" / name).mkdir()
    (root / "train" / ".ipynb_checkpoints" / "0-checkpoint.png").write_bytes(picture)
    (root / "train" / "__MACOSX" / "._0.png").write_bytes(picture)
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "notes.txt"):
        (root / "train" / "dark" / name).write_bytes(b"x")
    (root / "train" / "dark" / ".trash").mkdir()
    (root / "train" / "dark" / ".trash" / "0.png").write_bytes(picture)
    (root / "train" / "loop").symlink_to(root / "train")
    (root / "train" / "dark" / "loop").symlink_to(root / "train" / "dark")
    (root / "val" / "loose.png").write_bytes(picture)


def test_litter_is_neither_a_class_nor_a_picture(tmp_path: Path) -> None:
    root = tree(tmp_path)
    clean = load(root)
    litter(root)
    (root / "train" / "light" / "deep" / "er").mkdir(parents=True)
    (root / "train" / "light" / "3.png").rename(root / "train" / "light" / "deep" / "er" / "X.PNG")
    data = load(root)
    assert (data.classes, data.class_names) == (2, ("dark", "light"))
    assert [len(p) for p in (data.train, data.validation, data.test)] == [18, 2, 20]
    everything = [*data.train.files, *data.validation.files]
    assert "train/light/deep/er/X.PNG" in everything
    counts = {entry.reason: entry.count for entry in data.left_out}
    assert counts == {
        "hidden files or folders": 7,
        "files with other endings": 1,
        "links back to a folder": 1,
        "class folders without a picture": 1,
        "pictures beside the class folders": 1,
    }
    assert len(clean.train) == 18


@pytest.mark.parametrize("split", ["train", "val"])
def test_broken_pictures_are_found_before_any_trial_or_left_out(tmp_path: Path, split: str) -> None:
    root = tree(tmp_path)
    whole = (root / split / "dark" / "1.png").read_bytes()
    for number, content in enumerate((b"", b"<html>", whole[: len(whole) // 2])):
        (root / split / "dark" / f"{number}.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"3 of 40 pictures.*0\.png.*empty.*data.broken: skip"):
        load(root)
    data = load(root, broken="skip")
    assert len(data.train) + len(data.validation) + len(data.test) == 37
    assert [(entry.count, len(entry.examples)) for entry in data.left_out] == [(3, 3)]
    scores = task(data).evaluate("test")
    assert 0 <= scores["accuracy"] <= 1


def test_a_class_that_only_held_out_pictures_have_is_refused(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "val" / "dark").rename(root / "val" / "Dark")
    with pytest.raises(
        ValueError, match=r"val holds pictures of 1 class.*train has none of: Dark .did"
    ):
        load(root)


def test_the_background_belongs_to_the_identity(tmp_path: Path) -> None:
    root = tree(tmp_path)
    assert load(root, background="white").identity != load(root).identity
    assert load(root, background="#808080").identity == load(root).identity


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("auto", (True, True)),
        (True, (True, True)),
        (False, (False, False)),
        ({"flip": False}, (True, False)),
        ({"flip": False, "pad": 0}, (False, False)),
    ],
)
def test_augmentation_is_what_was_asked_for(setting: Any, expected: tuple[bool, bool]) -> None:
    assert folder_augmentation(ImageSettings.of({"augment": setting}).augment) == expected


NFC, NFD = "caf\u00e9", "cafe\u0301"


def test_a_class_has_one_name_in_whichever_form_a_system_writes_it(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for split, name in (("train", NFC), ("val", NFD)):
        (root / split / "dark").rename(root / split / name)
    data = load(root)
    assert data.class_names == (NFC, "light")
    assert np.bincount(data.test.labels).min() > 0
    shutil.copytree(root / "train" / "light", root / "train" / NFD)
    with pytest.raises(ValueError, match=r"train holds '.*' and '.*', one name in two forms of"):
        load(root)


def test_classes_that_differ_in_capitals_stay_apart_and_are_shown(tmp_path: Path) -> None:
    root = tree(tmp_path, ("train",))
    shutil.copytree(root / "train" / "dark", root / "train" / "Dark")
    data = load(root)
    assert data.class_names == ("Dark", "dark", "light")
    assert "classes: 'Dark' and 'dark' look alike" in describe_images(data)


def test_a_folder_is_one_class_whatever_links_to_it(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "train" / "copy").symlink_to(root / "train" / "dark")
    with pytest.raises(ValueError, match=r"train/dark and .*train/copy are one folder by a link"):
        load(root)


def test_without_mirroring_a_dark_left_side_stays_left(tmp_path: Path) -> None:
    root = tree(tmp_path)
    ramp = np.tile(np.linspace(0, 255, 64), (48, 1)).astype(np.uint8)
    Image.fromarray(ramp).save(root / "ramp.png")
    part = FolderPart(str(root), np.array(["ramp.png"]), np.array([0]))
    for flip, sides in ((False, {True}), (True, {True, False})):
        reader = FolderReader(part, 16, flip=flip)
        drawn = [reader[0, draw][0].float() for draw in range(12)]
        assert {bool(p[:, :, 0].mean() < p[:, :, -1].mean()) for p in drawn} == sides


@pytest.mark.parametrize("splits", [("train",), ("",)])
def test_folders_without_a_split_are_split_by_seed(tmp_path: Path, splits: tuple[str, ...]) -> None:
    root = tree(tmp_path, splits)
    parts = {"test_fraction": 0.2, "validation_fraction": 0.25}
    data, again = load(root, **parts), load(root, **parts)
    found = [data.train, data.validation, data.test]
    assert [np.bincount(part.labels).tolist() for part in found] == [[6, 6], [2, 2], [2, 2]]
    files = [str(file) for part in found for file in part.files]
    assert len(set(files)) == 20
    assert data.identity == again.identity
    assert data.identity != load(root, split_seed=1, **parts).identity
    expected = "test 0.2 of all, then validation 0.25 of the rest, by seed 0, stratified"
    assert f"split: {expected}" in describe_images(data)
    assert data.class_names == ("dark", "light")
