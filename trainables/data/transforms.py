"""Pictures through the user's own augmentation, each under a seed of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tune_select.imports import import_string
from tune_select.streams import kept_randomness

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_SEEDS = 2**32  # what NumPy's global generator takes


def transform_named(path: Any, size: int | None = None) -> PictureTransform | None:
    """The augmentation that ``data.transform`` names.

    Args:
        path: Import string of a callable (torchvision's transforms, Albumentations', a function of
            a picture), or of a class or function without arguments that makes one; or ``None``.
        size: Height and width of what comes out, pixels; not checked where it is not known yet.

    Raises:
        ValueError: Nothing is there, or it cannot be called.
    """
    if path is None:
        return None
    if not isinstance(path, str):
        raise ValueError(f"data.transform must be an import string, got {path!r}")
    found = import_string(path, "data.transform")
    if inspect.isclass(found) or (inspect.isfunction(found) and not _parameters(found)):
        found = found()
    if not callable(found):
        raise ValueError(f"data.transform is {path!r}, a {type(found).__name__}, not callable")
    return PictureTransform(found, path, _takes_keyword(found), size)


@dataclass(frozen=True)
class PictureTransform:
    """A transform of single pictures with the draws of a seed.

    What transforms draw comes from the generators of Python, NumPy and torch, or from one of their
    own with ``set_random_seed`` (Albumentations): all are seeded for each example, so that a
    replay's pictures are its seed trial's.

    Attributes:
        call: The user's.
        path: Where it is from, for messages.
        by_keyword: Whether it is called as ``call(image=array)["image"]``, as Albumentations is.
        size: Height and width of what must come out, or ``None``.
    """

    call: Callable[..., Any]
    path: str
    by_keyword: bool
    size: int | None = None

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augmented copies of images (B, C, H, W), in the images' own units."""
        seeds = torch.randint(
            2**31, (len(images),), generator=generator, device=generator.device
        ).tolist()
        pairs = zip(images, seeds, strict=True)
        return torch.stack([self.of_image(image, seed) for image, seed in pairs]).to(images.device)

    def of_image(self, image: Tensor, seed: int) -> Tensor:
        """One image (C, H, W), augmented."""
        given = image.permute(1, 2, 0).cpu().numpy() if self.by_keyword else image
        return self._checked(self._drawn(given, seed), image.dtype == torch.uint8, len(image))

    def of_picture(self, picture: Image.Image, seed: int) -> Tensor:
        """One picture as a decoder gives it, augmented: (3, H, W) in the units of bytes."""
        given = np.array(picture) if self.by_keyword else picture
        return self._checked(self._drawn(given, seed), True, 3)

    def _drawn(self, given: Any, seed: int) -> Any:
        seed %= _SEEDS
        own = getattr(self.call, "set_random_seed", None)
        if callable(own):
            own(seed)
        with kept_randomness(seed):
            made = self.call(image=given) if self.by_keyword else self.call(given)
        return made["image"] if isinstance(made, Mapping) and "image" in made else made

    def _checked(self, made: Any, from_bytes: bool, channels: int) -> Tensor:
        image = _as_tensor(made, self.path)
        if image.ndim != 3 or len(image) != channels or image.shape[1] != image.shape[2]:
            raise ValueError(
                f"data.transform {self.path!r} must return pictures ({channels}, S, S), got "
                f"{tuple(image.shape)}"
            )
        if self.size is not None and image.shape[1] != self.size:
            raise ValueError(
                f"data.transform {self.path!r} returns pictures of {image.shape[1]} pixels, and "
                f"the others are evaluated with {self.size}: crop to that, or set data.image_size"
            )
        if not (from_bytes and image.is_floating_point()):
            return image
        if float(image.min()) < -1e-3 or float(image.max()) > 1 + 1e-3:
            raise ValueError(
                f"data.transform {self.path!r} returns values from {float(image.min()):.3g} to "
                f"{float(image.max()):.3g}: return bytes, or floats from 0 to 1, and leave "
                "Normalize out, since pictures are normalised by the training set's own statistics"
            )
        return image * 255


def _as_tensor(made: Any, path: str) -> Tensor:
    if isinstance(made, Image.Image):
        made = np.array(made)
    if isinstance(made, np.ndarray):
        made = torch.from_numpy(np.ascontiguousarray(made))
        made = made[None] if made.ndim == 2 else made.permute(2, 0, 1)
    if not isinstance(made, Tensor):
        raise ValueError(
            f"data.transform {path!r} must return a picture, an array or a tensor, got a "
            f"{type(made).__name__}"
        )
    return made.as_subclass(Tensor)


def _parameters(function: Any) -> list[Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _takes_keyword(call: Any) -> bool:
    """Whether a callable takes its picture by name alone: ``**data``, and no place for a first one.

    Modules say nothing of theirs (``*args, **kwargs``), and take it first.
    """
    if isinstance(call, nn.Module):
        return False
    own = _parameters(call)
    if any(p.kind in _POSITIONAL for p in own):
        return False
    return any(p.kind is Parameter.VAR_KEYWORD or p.name == "image" for p in own)
