"""The user's own augmentation: torchvision's, Albumentations' way of calling, functions."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from tests.trainables.data.test_image_folder import tree
from trainables import ImageClassification
from trainables.data.settings.images import ImageSettings
from trainables.data.transforms import transform_named

flips = v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.5), v2.ToDtype(torch.uint8)])
floats = v2.Compose([v2.ToImage(), v2.RandomResizedCrop(16), v2.ToDtype(torch.float32, scale=True)])
normalised = v2.Compose([floats, v2.Normalize([0.5] * 3, [0.1] * 3)])
wrong_size = v2.Compose([v2.ToImage(), v2.RandomCrop(8)])
number = 3


def made() -> Any:
    return flips


def shifted(image: torch.Tensor) -> torch.Tensor:
    """Draws from all three generators that people use."""
    shift = random.randrange(3) + int(np.random.randint(3)) + int(torch.randint(3, ()))  # noqa: NPY002
    return image.roll(shift, -1)


class ByKeyword:
    """Called and seeded as Albumentations' are: with a generator of its own."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng()

    def set_random_seed(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def __call__(self, *args: Any, force_apply: bool = False, **data: Any) -> dict[str, Any]:
        assert not args
        image = data["image"]
        assert image.shape[-1] in (1, 3)
        return {"image": np.roll(image, self.generator.integers(image.shape[1]), 1)}


keyword_instance = ByKeyword()


@pytest.mark.parametrize("name", ["flips", "made", "shifted", "ByKeyword", "keyword_instance"])
@pytest.mark.parametrize("channels", [1, 3])
def test_draws_follow_the_generator_alone(name: str, channels: int) -> None:
    transform = transform_named(f"{__name__}.{name}")
    assert transform is not None
    images = torch.randint(256, (6, channels, 8, 8), dtype=torch.uint8)
    state = torch.random.get_rng_state()
    first = transform(images, torch.Generator().manual_seed(1))
    random.seed(5)  # what else draws does not matter
    torch.manual_seed(9)
    again = transform(images, torch.Generator().manual_seed(1))
    other = transform(images, torch.Generator().manual_seed(2))
    torch.random.set_rng_state(state)
    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_seed_and_its_replay_see_the_same_pictures(tmp_path: Path) -> None:
    losses = {}
    for arm, transform in [("seed", "shifted"), ("cached", "shifted"), ("full", "shifted"),
                           ("full", None)]:  # fmt: skip
        path = None if transform is None else f"{__name__}.{transform}"
        trial = ImageClassification({
            "arm": arm, "model": "small_cnn", "model_settings": {"channels": [4]}, "max_epochs": 2,
            "data": {"name": "digits", "train_limit": 60, "transform": path},
            "selection": {"algorithm": "random", "fraction": 0.5, "select_every": 1},
            "history": str(tmp_path / "history"), "energy": False,
        })  # fmt: skip
        losses[arm, transform] = [trial.step()["train_loss"] for _ in range(2)]
    assert losses["seed", "shifted"] == losses["cached", "shifted"]
    assert losses["full", "shifted"] != losses["full", None]


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_in_files_are_cropped_by_it(tmp_path: Path, workers: int) -> None:
    config = {
        "model": "small_cnn", "model_settings": {"channels": [4]},
        "data": {"name": "image_folder", "root": str(tree(tmp_path)), "image_size": 16,
                 "transform": f"{__name__}.floats", "workers": workers},
        "energy": False,
    }  # fmt: skip
    task = ImageClassification(config).task
    generator = torch.Generator()
    seen = [
        next(iter(task.batches([torch.arange(6)], generator=generator.manual_seed(s)))).inputs
        for s in (0, 0, 1)
    ]
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    assert seen[0].shape == (6, 3, 16, 16)
    plain = task.batch(torch.arange(6)).inputs  # normalised alike, so about as bright
    assert seen[0].mean((1, 2, 3)).tolist() == pytest.approx(
        plain.mean((1, 2, 3)).tolist(), abs=0.3
    )


def test_what_does_not_fit_is_named() -> None:
    picture = Image.new("RGB", (20, 30), (200, 10, 10))
    for name, message in [("normalised", "leave Normalize out"), ("wrong_size", "of 8 pixels")]:
        transform = transform_named(f"{__name__}.{name}", 16)
        assert transform is not None
        with pytest.raises(ValueError, match=message):
            transform.of_picture(picture, 0)
    for data, message in [
        ({"transform": f"{__name__}.flip"}, "did you mean flips"),
        ({"transform": f"{__name__}.number"}, "a int, not callable"),
        ({"transform": 3}, "data.transform must be an import string"),
        ({"transform": f"{__name__}.flips", "augment": {"flip": True}}, "both augment"),
        ({"transfrom": "a.b"}, "data.transfrom=.*did you mean transform"),
    ]:
        with pytest.raises(ValueError, match=message):
            ImageSettings.of(data)
