"""Data sets from their files to the arrays that trials share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from trainables.data.arrays import (
    ImageArrays,
    Part,
    area_resize,
    channel_statistics,
    channels_first,
)
from trainables.data.description import describe_images
from trainables.data.images import load_images

needs_data = pytest.mark.skipif(
    "TUNE_SELECT_DATA" not in os.environ, reason="set TUNE_SELECT_DATA to torchvision's layout"
)


def load(**data: Any) -> ImageArrays:
    loaded = load_images(data)
    assert isinstance(loaded, ImageArrays)
    return loaded


def some_arrays(size: int = 60, seed: int = 0) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(seed)
    return {
        "x_train": generator.integers(0, 255, (size, 6, 6, 3), dtype=np.uint8),
        "y_train": np.arange(size) % 3,
        "x_test": generator.integers(0, 255, (9, 6, 6, 3), dtype=np.uint8),
        "y_test": np.arange(9) % 3,
    }


def test_digits_are_split_three_ways_without_overlap() -> None:
    data = load(name="digits", validation_fraction=0.1)
    sizes = [len(part) for part in (data.train, data.validation, data.test)]
    assert sum(sizes) == 1797
    assert sizes[1] == round(0.1 * (sizes[0] + sizes[1]))
    rows = np.concatenate([p.images.reshape(len(p), -1) for p in (data.train, data.test)])
    # 1797 scans hold no duplicates, so an example in two splits would show.
    assert len(np.unique(rows, axis=0)) == len(rows)
    for part in (data.train, data.validation, data.test):
        counts = np.bincount(part.labels, minlength=10) / len(part)
        assert counts.min() > 0.08
    assert (data.channels, data.image_size, data.classes) == (1, 8, 10)
    assert data.train.images.dtype == np.uint8


def test_the_same_settings_give_the_same_identity_and_others_another() -> None:
    base = load().identity
    assert load().identity == base
    for change in (
        {"validation_fraction": 0.2},
        {"split_seed": 1},
        {"train_limit": 500},
        {"image_size": 4},
        {"label_noise": 0.1},
        {"imbalance": {"classes": 0.3, "keep": 0.1}},
    ):
        assert load(**change).identity.fingerprint != base.fingerprint
    assert load(augment=False).identity == base  # shapes training, not what indices point at


def test_a_limit_is_stratified() -> None:
    data = load(train_limit=200)
    assert len(data.train) == 200
    assert np.bincount(data.train.labels).min() >= 18


def test_corruption_touches_the_training_split_alone() -> None:
    clean, noisy = load(), load(label_noise=0.25)
    assert (clean.train.labels != noisy.train.labels).mean() == pytest.approx(0.25, abs=1e-3)
    assert (clean.validation.labels == noisy.validation.labels).all()
    assert (clean.test.labels == noisy.test.labels).all()
    assert (clean.train.images == noisy.train.images).all()
    fewer = load(imbalance={"classes": 0.3, "keep": 0.1})
    counts = np.bincount(fewer.train.labels)
    assert sorted(counts)[2] < 20 < sorted(counts)[3]
    assert fewer.identity.size == len(fewer.train.labels) == counts.sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channel_statistics_are_numpys(dtype: type[Any]) -> None:
    images = np.random.default_rng(0).integers(0, 255, (7, 3, 5, 4)).astype(dtype)
    images[:, 2] = 9
    mean, std = channel_statistics(images)
    floats = images.astype(np.float64)
    np.testing.assert_allclose(mean, floats.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(std[:2], floats.std((0, 2, 3))[:2], rtol=1e-6)
    assert std[2] == 1.0  # a constant channel is centred, not divided by zero


def test_areas_are_averaged() -> None:
    images = np.random.default_rng(0).integers(0, 255, (5000, 3, 8, 8), dtype=np.uint8)
    blocks = images.reshape(5000, 3, 4, 2, 4, 2).mean((3, 5))
    half = area_resize(images, 4)
    assert half.dtype == np.uint8
    assert np.abs(half - blocks).max() <= 0.5
    uneven = area_resize(images[:4].astype(np.float32), 5)
    expected = functional.interpolate(torch.tensor(images[:4]).float(), size=(5, 5), mode="area")
    np.testing.assert_allclose(uneven, expected.numpy(), rtol=1e-6)


def test_layouts() -> None:
    nhwc = np.random.default_rng(0).integers(0, 255, (4, 6, 5, 3), dtype=np.uint8)
    nchw = nhwc.transpose(0, 3, 1, 2)
    assert (channels_first(nhwc) == nchw).all()
    assert (channels_first(nchw) == nchw).all()
    assert channels_first(nhwc).flags.c_contiguous
    assert channels_first(nhwc[..., 0]).shape == (4, 1, 6, 5)
    assert channels_first(nhwc.astype(np.float64)).dtype == np.float32
    with pytest.raises(ValueError, match=r"data\.layout to nchw or nhwc"):
        channels_first(np.zeros((4, 3, 8, 3), np.uint8))
    assert channels_first(np.zeros((4, 3, 8, 3), np.uint8), "nhwc").shape == (4, 3, 3, 8)
    with pytest.raises(ValueError, match=r"3 or 4 dimensions, got shape \(4, 6\)"):
        channels_first(np.zeros((4, 6)))


@pytest.mark.parametrize("folder", [False, True])
def test_arrays_of_ones_own(tmp_path: Path, folder: bool) -> None:
    arrays = some_arrays()
    root = tmp_path / ("folder" if folder else "set.npz")
    if folder:
        root.mkdir()
        for key, value in arrays.items():
            np.save(root / f"{key}.npy", value)
    else:
        np.savez(root, **arrays)
    data = load(name="arrays", root=str(root), validation_fraction=0.2)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [48, 12, 9]
    assert data.train.images.shape == (48, 3, 6, 6)
    given = {**arrays, "x_val": arrays["x_test"], "y_val": arrays["y_test"]}
    np.savez(tmp_path / "given.npz", **given)
    with_validation = load(name="arrays", root=str(tmp_path / "given.npz"))
    assert (with_validation.validation.images == data.test.images).all()
    assert len(with_validation.train) == 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"y_train": np.zeros(60, int), "y_test": np.zeros(9, int)},
            r"1 class\(es\) to train on; .* at least 2",
        ),
        (
            {"y_train": np.arange(60) % 3 + 0.5},
            "y_train in .* integer classes as labels, got 0.5 at",
        ),
        ({"y_train": np.full(60, np.nan)}, "y_train in .* integer classes as labels, got nan"),
        ({"y_train": np.eye(3)[np.arange(60) % 3]}, r"y_train .* got shape \(60, 3\): of one-hot"),
        ({"y_train": np.arange(60)}, "y_train .* label of its own for each of its 60 examples"),
        (
            {"y_train": np.array(["a", "b", "c"])[np.arange(60) % 3]},
            "y_train .* text but y_test .*",
        ),
        ({"y_train": np.arange(50) % 3}, "x_train and y_train in .* differ in length: 60, 50"),
        (
            {"y_train": np.arange(60) % 3 - 1},
            "y_test .* 1 label.* no example of y_train carries: 2",
        ),
        ({"y_test": np.arange(9)}, r"y_test .* 6 label.* carries: 3, 4, 5, 6, 7, \.\.\."),
        ({"x_test": np.zeros((9, 5, 5, 3), np.uint8)}, r"images of shapes .*data\.image_size"),
        ({"x_train": np.full((60, 6, 6, 3), np.nan)}, "x_train in .* holds NaN"),
        ({"x_train": np.full((60, 6, 6, 3), 1e300)}, "x_train in .* holds NaN"),
        ({"x_train": np.full((60, 6, 6, 3), "1")}, "x_train in .* must hold numbers .* got <U1"),
        ({"x_train": np.full((60, 6, 6, 3), 0.5)}, "up to 0.5 and x_test up to .*: scale them"),
        ({"x_test": np.zeros((0, 6, 6, 3))}, "x_test in .* holds no example: fill it"),
        ({"x_val": np.zeros((3, 6, 6, 3))}, "has x_val but no y_val: add it"),
        ({"y_train": np.array(0)}, r"y_train .* got shape \(\)$"),
        ({"y_train": np.array(["a", " ", "c"])[np.arange(60) % 3]}, "y_train .* empty label at"),
        ({"y_train": np.array([b"\xe9", b"b"])[np.arange(60) % 2]}, "y_train .* UTF-8 text as"),
        ({"y_train": (np.arange(60) % 3).astype(object)}, "y_train of .* holds Python objects"),
    ],
)
def test_arrays_that_do_not_do_say_why(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "set.npz", **{**some_arrays(), **change})
    with pytest.raises(ValueError, match=message):
        load(name="arrays", root=str(tmp_path / "set.npz"))


@pytest.mark.parametrize(
    "classes",
    [[1, 2, 3], [10, 20, 30], [0, 1, 10**6], [-1, 0, 1], [0.0, 1.0, 2.0], ["cat", "dog", "owl"]],
)
def test_labels_become_classes_in_their_order(tmp_path: Path, classes: list[Any]) -> None:
    arrays, file = some_arrays(), tmp_path / "set.npz"
    np.savez(file, **arrays)
    plain = load(name="arrays", root=str(file))
    named = {key: np.array(classes)[arrays[key]] for key in ("y_train", "y_test")}
    np.savez(file, **{**arrays, **named})
    data = load(name="arrays", root=str(file))
    assert data.classes == 3
    np.testing.assert_array_equal(data.train.labels, plain.train.labels)
    np.testing.assert_array_equal(data.test.labels, plain.test.labels)
    counts_from_zero = classes == [0, 1, 2]
    assert data.class_names == (() if counts_from_zero else tuple(map(str, classes)))
    # What a class stands for belongs to the identity, or a history would fit another meaning.
    assert (data.identity == plain.identity) == counts_from_zero


def test_text_labels_have_one_spelling(tmp_path: Path) -> None:
    arrays, file = some_arrays(), tmp_path / "set.npz"
    names = np.array(["caf\u00e9", "cafe\u0301", "tea "])
    named = {key: names[arrays[key]] for key in ("y_train", "y_test")}
    np.savez(file, **{**arrays, **named})
    assert load(name="arrays", root=str(file)).class_names == ("caf\u00e9", "tea")


def test_only_the_arrays_that_are_used_are_opened(tmp_path: Path) -> None:
    for key, value in some_arrays().items():
        np.save(tmp_path / f"{key}.npy", value)
    (tmp_path / "notes.npy").write_bytes(b"no array")
    data = load(name="arrays", root=str(tmp_path))
    assert "left out: 1 arrays of other names (notes.npy)" in describe_images(data)
    np.savez(tmp_path / "set.npz", **some_arrays(), extra=np.array([None]))
    data = load(name="arrays", root=str(tmp_path / "set.npz"))
    assert "left out: 1 arrays of other names (extra)" in describe_images(data)


def test_truth_values_and_columns_are_labels(tmp_path: Path) -> None:
    arrays, file = some_arrays(), tmp_path / "set.npz"
    arrays |= {key: (arrays[key] > 0)[:, None] for key in ("y_train", "y_test")}
    np.savez(file, **arrays)
    assert load(name="arrays", root=str(file)).classes == 2


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "set.npz"
    for content in (b"", b"<html>", b"PK\3\4 cut off"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"set\.npz is not a sound .npz file"):
            load(name="arrays", root=str(file))


def test_what_is_missing_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNE_SELECT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"'cifar10' was not found.*data\.download: true"):
        load(name="cifar10", root=str(tmp_path))
    with pytest.raises(ValueError, match=r"data\.root is not set for 'mnist'"):
        load(name="mnist")
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz does not exist"):
        load(name="arrays", root=str(tmp_path / "nothing.npz"))
    np.savez(tmp_path / "half.npz", x_train=np.zeros(3))
    with pytest.raises(FileNotFoundError, match="has no y_train, x_test, y_test"):
        load(name="arrays", root=str(tmp_path / "half.npz"))


@needs_data
@pytest.mark.slow
def test_cifar10_is_what_its_authors_published() -> None:
    data = load(name="cifar10", validation_fraction=0.0)
    assert data.train.images.shape == (50000, 3, 32, 32)
    assert data.train.labels[:5].tolist() == [6, 9, 9, 4, 1]
    assert data.test.labels[:5].tolist() == [3, 8, 8, 0, 6]
    # Statistics of the published training set.
    np.testing.assert_allclose(data.mean, [125.307, 122.950, 113.865], atol=1e-2)
    np.testing.assert_allclose(data.std, [62.993, 62.089, 66.705], atol=1e-2)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "first"), [("mnist", [5, 0, 4]), ("fashion_mnist", [9, 0, 0])])
def test_idx_sets_read(name: str, first: list[int]) -> None:
    data = load(name=name, validation_fraction=0.0)
    assert data.train.images.shape == (60000, 1, 28, 28)
    assert data.train.labels[:3].tolist() == first


def test_imagenet32_reads_its_numpy_archives(tmp_path: Path) -> None:
    numbers = np.arange(3 * 3072, dtype=np.int64).reshape(3, 3072) % 251
    files = {"train_data_batch_1": [0, 1], "train_data_batch_2": [2], "val_data": [1]}
    for name, rows in files.items():
        np.savez(
            tmp_path / f"{name}.npz",
            data=numbers[rows].astype(np.uint8),
            labels=np.array([row + 1 for row in rows]),
        )
    settings = {"name": "imagenet32", "root": str(tmp_path), "validation_fraction": 0.0}
    data = load_images(settings)
    assert isinstance(data, ImageArrays)
    assert data.train.labels.tolist() == [0, 1, 2]
    assert data.test.labels.tolist() == [1]
    # Channels first, rows next: number 1024 is the first green pixel.
    assert data.train.images[1].shape == (3, 32, 32)
    assert data.train.images[1, 1, 0, 0] == numbers[1, 1024]
    assert data.train.images[1, 2, 31, 31] == numbers[1, 3071]
    (tmp_path / "val_data.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"val_data\.npz"):
        load_images(settings)


def test_svhn_with_its_extra_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every part one example per class and of its own brightness."""
    brightness = {"train": 1, "test": 2, "extra": 3}

    def read(_class: str, _root: Path, _settings: Any, split: dict[str, Any]) -> Part:
        images = np.full((10, 3, 4, 4), brightness[split["split"]], dtype=np.uint8)
        return Part(images, np.arange(10))

    monkeypatch.setattr("trainables.data.images._read_torchvision", read)
    for extra, expected in ((False, {1}), (True, {1, 3})):
        settings = {"name": "svhn", "root": str(tmp_path), "validation_fraction": 0, "extra": extra}
        data = load_images(settings)
        assert isinstance(data, ImageArrays)
        assert set(data.train.images[:, 0, 0, 0].tolist()) == expected
        assert len(data.train.labels) == 10 * len(expected)
        assert set(data.test.images[:, 0, 0, 0].tolist()) == {2}
