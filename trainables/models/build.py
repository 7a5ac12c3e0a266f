"""A model from its name or import string."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from tune_select.imports import import_string

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
) -> nn.Module:
    """Make a model for images of ``in_channels`` x ``image_size`` x ``image_size``.

    Args:
        name: One of ``MODEL_NAMES``, or the import string (``package.module.Name``) of an
            ``nn.Module`` class or of a function that returns one. It is called with those of
            ``num_classes``, ``in_channels`` and ``image_size`` that its signature takes.
        num_classes: Outputs.
        in_channels: Of the images.
        image_size: Height and width in pixels.
        settings: Further keyword arguments for the model.

    Raises:
        ValueError: The name is unknown, cannot be imported, or does not take the settings.
        TypeError: What it names does not make an ``nn.Module``.
    """
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    return build_from(_HOMES, name, shape, settings)


def build_from(
    homes: Mapping[str, str],
    name: str,
    shape: Mapping[str, Any],
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> nn.Module:
    """Make a model of any kind of task.

    Args:
        homes: Import string (``package.module.Name``) of each known name.
        name: One of ``homes``, or an import string itself.
        shape: What the data demand; the model is called with those that its signature takes.
        settings: Further keyword arguments for the model.

    Raises:
        ValueError: The name is unknown, cannot be imported, or does not take the settings.
        TypeError: What it names does not make an ``nn.Module``.
    """
    factory = _find(homes.get(name, name), name, homes)
    parameters = inspect.signature(factory).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    unknown = [key for key in settings if key not in parameters and not anything]
    if unknown:
        raise ValueError(
            f"model_settings.{unknown[0]} is not taken by model {name!r}; it takes "
            f"{', '.join(p for p in parameters if p not in shape) or 'none'}"
        )
    taken = {key: value for key, value in shape.items() if key in parameters or anything}
    model = factory(**taken, **settings)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model {name!r} made a {type(model).__name__}, not a torch.nn.Module")
    return model


def _find(location: str, name: str, homes: Mapping[str, str]) -> Any:
    if "." not in location:
        raise ValueError(
            f"model must be one of {', '.join(homes)} or an import string, got {name!r}"
        )
    return import_string(location, "model")
