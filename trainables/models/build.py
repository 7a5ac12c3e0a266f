"""A model from its name or import string."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from trainables.models.calling import accepted, call_factory
from trainables.models.factories import FAMILIES, find_factory
from trainables.models.fitting import (
    fit_channels,
    fit_head,
    fit_stem,
    gives_other_classes,
    takes_images,
)
from trainables.models.weights import DEFAULT, load_weights, published_weights
from tune_select.imports import module_of
from tune_select.selection.heads.find import find_heads
from tune_select.streams import kept_randomness

_HOMES = {
    "small_cnn": "trainables.models.small_cnn.SmallCNN",
    "lenet": "trainables.models.lenet.LeNet",
    "resnet18": "trainables.models.adapted.resnet18",
    "mobilenet_v2": "trainables.models.adapted.mobilenet_v2",
    "densenet121": "trainables.models.adapted.densenet121",
    "vit": "trainables.models.adapted.vit",
    "wide_resnet16_4": "trainables.models.wide_resnet.wide_resnet16_4",
    "wide_resnet16_8": "trainables.models.wide_resnet.wide_resnet16_8",
    "wide_resnet28_2": "trainables.models.wide_resnet.wide_resnet28_2",
    "wide_resnet28_10": "trainables.models.wide_resnet.wide_resnet28_10",
}

MODEL_NAMES = tuple(_HOMES)


def build_model(
    name: str,
    num_classes: int,
    in_channels: int,
    image_size: int,
    settings: Mapping[str, Any] = MappingProxyType({}),
    *,
    weights: str | None = None,
) -> nn.Module:
    """Make a model for images of ``in_channels`` x ``image_size`` x ``image_size``.

    Somebody else's model is called with those of ``num_classes``, ``in_channels`` and
    ``image_size`` that it takes, and is then made to fit: its first convolution to the channels,
    its last layer to the classes, and, of torchvision's and timm's, its stem to images of up to 64
    pixels as those of our own are. What was changed is logged and in ``notes.notes_of``.

    Args:
        name: One of ``MODEL_NAMES``; ``torchvision/NAME`` or ``timm/NAME``; or the import string
            (``package.module.Name``) of an ``nn.Module`` class or of a function that returns one.
        num_classes: Outputs.
        in_channels: The number of channels of the images.
        image_size: Height and width in pixels.
        settings: Further keyword arguments for the model.
        weights: ``default`` for those that torchvision or timm publish. A file is loaded later,
            see ``tasks.prepared``.

    Raises:
        ValueError: The name is unknown, cannot be imported, does not take the settings, or what it
            makes does not take the images or name the classes.
        TypeError: What it names does not make an ``nn.Module``.
    """
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    factory = find_factory(name, _HOMES, families=True)
    model, told, pretrained = _made(factory, name, shape, settings, weights)
    if name not in _HOMES:
        _fit(model, factory, name, shape, told, learned=pretrained)
    if weights == DEFAULT and not pretrained:
        images = torch.zeros(2, in_channels, image_size, image_size)

        def heads() -> list[str]:
            with kept_randomness():
                return [own for own, _ in find_heads(model, lambda: model(images).square().sum())]

        load_weights(model, published_weights(factory, name), f"{name}, {DEFAULT}", heads)
    return model


def _fit(
    model: nn.Module,
    factory: Any,
    name: str,
    shape: dict[str, Any],
    told: frozenset[str],
    *,
    learned: bool,
) -> None:
    """Make the model take the images and name the classes; see ``build_model``."""
    foreign = module_of(str(getattr(factory, "__module__", ""))) in FAMILIES
    unsure = accepted(factory).unknown  # what it was told may have been swallowed without a word
    if ("in_channels" not in told or unsure) and not takes_images(model, shape):
        fit_channels(model, shape["in_channels"])
    if foreign and "image_size" not in told:
        fit_stem(model, shape["image_size"], keep_weights=learned)
    if foreign or "num_classes" not in told or (unsure and gives_other_classes(model, shape)):
        fit_head(model, name, shape)


def build_from(
    homes: Mapping[str, str],
    name: str,
    shape: Mapping[str, Any],
    settings: Mapping[str, Any] = MappingProxyType({}),
    *,
    weights: str | None = None,
) -> nn.Module:
    """Make a model of any kind of task.

    Args:
        homes: Import string (``package.module.Name``) of each known name.
        name: One of ``homes``, or an import string itself.
        shape: What the data demand; the model is called with those that it takes.
        settings: Further keyword arguments for the model.
        weights: ``default`` for those that the model's library publishes.

    Raises:
        ValueError: The name is unknown, cannot be imported, or does not take the settings.
        TypeError: What it names does not make an ``nn.Module``.
    """
    return _made(find_factory(name, homes), name, shape, settings, weights)[0]


def _made(
    factory: Any,
    name: str,
    shape: Mapping[str, Any],
    settings: Mapping[str, Any],
    weights: str | None,
) -> tuple[nn.Module, frozenset[str], bool]:
    """The model, what of ``shape`` it was told, and whether it came with learned weights."""
    takes = accepted(factory).names
    pretrained = weights == DEFAULT and "pretrained" in takes
    if pretrained:
        settings = {**settings, "pretrained": True}
    elif weights == DEFAULT and not _is_torchvisions(factory):
        raise ValueError(
            f"weights: default is for models that somebody publishes weights of (torchvision/NAME, "
            f"timm/NAME, a function with pretrained=), and {name!r} is none; name a file"
        )
    if "aux_logits" in takes and "aux_logits" not in settings:
        # Inception's further classifiers return tuples in training, for a loss of their own.
        settings = {**settings, "aux_logits": False}
        settings |= {"init_weights": True} if "init_weights" in takes else {}
    try:
        model, told = call_factory(factory, name, shape, settings)
    except OSError as error:
        if not pretrained:
            raise
        raise ValueError(
            f"weights: default of model {name!r} cannot be fetched ({error}); fetch them where "
            "there is a network and name the file: weights: FILE"
        ) from None
    if not isinstance(model, nn.Module):
        raise TypeError(f"model {name!r} made a {type(model).__name__}, not a torch.nn.Module")
    return model, told, pretrained


def _is_torchvisions(factory: Any) -> bool:
    module = str(getattr(factory, "__module__", ""))
    return module.startswith("torchvision.models.") and "weights" in accepted(factory).names
