"""Somebody else's image classifier, made to take these images and to name these classes."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from trainables.models.adapted import SMALL_IMAGE, with_channels
from trainables.models.notes import note
from tune_select.selection.heads.capture import evaluation_mode, named_heads
from tune_select.selection.heads.find import find_heads
from tune_select.streams import kept_randomness

_PROBED = 2  # images of the pass that shows what comes out


def fit_channels(model: nn.Module, channels: int) -> None:
    """Give the first convolution as many input channels as the images have; says so."""
    found = first_convolution(model)
    if found is None or found[1].in_channels == channels:
        return
    name, old = found
    if old.groups != 1:
        raise ValueError(
            f"{type(model).__name__} takes {old.in_channels} channels in groups of its own, and "
            f"the images have {channels}: make a model for {channels}"
        )
    new = with_channels(old, channels)
    with torch.no_grad():
        new.weight.copy_(spread_channels(old.weight, channels))
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    set_module(model, name, new)
    note(model, f"{name}: {old.in_channels} input channels became {channels}")


def spread_channels(weight: Tensor, channels: int) -> Tensor:
    """A convolution's weights (out, in, ...) for other input channels.

    Every channel gets the sum over the old ones divided by the number of the new: what a grey
    picture gives, copied into each channel, is the same before and after.
    """
    total = weight.sum(1, keepdim=True) / channels
    return total.expand(-1, channels, *weight.shape[2:])


def fit_stem(model: nn.Module, image_size: int, *, keep_weights: bool = False) -> None:
    """Let small images keep their resolution in the first layers, as our own models do; says so.

    The first convolution's stride becomes 1, a kernel of 5 or more becomes 3, and max pooling that
    follows before the next convolution goes. Stems that cut patches (strides as wide as the kernel)
    stay: there a patch is a token, and a stride of 1 would be another model.

    Args:
        model: The model as its factory made it.
        image_size: Height and width, pixels; above ``SMALL_IMAGE`` nothing is done.
        keep_weights: Whether the kernel has been learned, and so keeps its size.
    """
    found = first_convolution(model)
    if found is None or image_size > SMALL_IMAGE:
        return
    name, old = found
    kernel, stride = old.kernel_size[0], old.stride[0]
    if stride == 1 or stride >= kernel or old.kernel_size[0] != old.kernel_size[1]:
        return
    size = kernel if keep_weights or kernel < 5 else 3
    new = nn.Conv2d(
        old.in_channels, old.out_channels, size,
        padding=size // 2, groups=old.groups, bias=old.bias is not None,
    )  # fmt: skip
    if size == kernel:
        new.load_state_dict(old.state_dict())
    else:
        nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    set_module(model, name, new)
    text = f"{name}: {kernel} x {kernel} with stride {stride} became {size} x {size} with stride 1"
    pool = _pool_behind(model, name)
    if pool is not None:
        set_module(model, pool, nn.Identity())
        text += f", and {pool} went"
    note(model, f"{text}, for images of {image_size} pixels")


def _pool_behind(model: nn.Module, convolution: str) -> str | None:
    """Max pooling that comes after a convolution and before the next one, in registration order."""
    behind = False
    modules: list[tuple[str, nn.Module]] = list(model.named_modules())
    for name, module in modules:
        if name == convolution:
            behind = True
        elif behind and isinstance(module, nn.Conv2d):
            return None
        elif behind and isinstance(module, nn.MaxPool2d):
            return name
    return None


def first_convolution(model: nn.Module) -> tuple[str, nn.Conv2d] | None:
    """Name and module of the convolution that is registered first."""
    found = ((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d))
    return next(found, None)


def fit_head(model: nn.Module, name: str, shape: dict[str, Any]) -> None:
    """Let the model name as many classes as there are; says so where that changes it.

    Args:
        model: The model as its factory made it.
        name: The name as the user wrote it.
        shape: ``num_classes``, ``in_channels`` and ``image_size`` of the data.

    Raises:
        ValueError: It does not take the images, does not return logits, or has no last layer that
            could be replaced.
    """
    classes, images = shape["num_classes"], _images(shape)
    logits = _logits(model, images, name)
    if logits.shape == (_PROBED, classes):
        return
    try:
        with kept_randomness():
            heads = find_heads(model, lambda: model(images).square().sum())
    except ValueError as error:
        raise ValueError(
            f"model {name!r} gives {tuple(logits.shape[1:])} outputs for {classes} classes, and "
            f"which layer to replace is not clear ({error}); {_REMEDY}"
        ) from None
    head_name, head = heads[0]
    if len(heads) > 1 or type(head) not in (nn.Linear, nn.Conv2d) or not head_name:
        raise ValueError(
            f"model {name!r} gives {tuple(logits.shape[1:])} outputs for {classes} classes, and "
            f"its last layer {named_heads(heads)} is none that could be replaced; {_REMEDY}"
        )
    before, new = _with_outputs(head, classes)
    set_module(model, head_name, new)
    if _logits(model, images, name).shape != (_PROBED, classes):
        raise ValueError(
            f"model {name!r} gives {tuple(logits.shape[1:])} outputs for {classes} classes, and "
            f"does not give {classes} with another {head_name}; {_REMEDY}"
        )
    note(model, f"{head_name}: {before} outputs became {classes}")


def takes_images(model: nn.Module, shape: dict[str, Any]) -> bool:
    """Whether a forward pass of such images ends well.

    Args:
        model: The model as its factory made it.
        shape: The shape as for ``fit_head``.
    """
    try:
        with evaluation_mode(model), torch.no_grad(), kept_randomness():
            model(_images(shape))
    except Exception:  # a model of anybody's; what is wrong is said where it cannot be mended
        return False
    return True


def gives_other_classes(model: nn.Module, shape: dict[str, Any]) -> bool:
    """Whether the model returns logits, but for another number of classes than there are."""
    try:
        logits = _logits(model, _images(shape), "")
    except ValueError:  # whatever it is, it is not that
        return False
    return logits.shape != (_PROBED, shape["num_classes"])


def _images(shape: dict[str, Any]) -> Tensor:
    size, channels = shape["image_size"], shape["in_channels"]
    generator = torch.Generator().manual_seed(0)
    return torch.randn(_PROBED, channels, size, size, generator=generator)


_REMEDY = "let the function or class take num_classes, or return (B, num_classes)"


def _logits(model: nn.Module, images: Tensor, name: str) -> Tensor:
    try:
        with evaluation_mode(model), torch.no_grad(), kept_randomness():
            logits = model(images)
    except Exception as error:  # a model of anybody's, which may raise what it likes
        shape = " x ".join(map(str, images.shape[1:]))
        raise ValueError(
            f"model {name!r} does not take images of {shape}: {type(error).__name__}: "
            f"{error!s:.200}; set data.image_size to what it is made for, or model_settings that "
            "fit the images"
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        got = type(logits).__name__
        if isinstance(logits, Tensor):
            got += f" of shape {tuple(logits.shape)}"
        raise ValueError(f"model {name!r} must return logits (B, num_classes), got a {got}")
    return logits


def _with_outputs(head: nn.Module, classes: int) -> tuple[int, nn.Module]:
    """How many outputs the head had, and a fresh one of another number."""
    if isinstance(head, nn.Linear):
        return head.out_features, nn.Linear(head.in_features, classes, head.bias is not None)
    assert isinstance(head, nn.Conv2d)
    new = nn.Conv2d(
        head.in_channels, classes, cast(Any, head.kernel_size), cast(Any, head.stride),
        cast(Any, head.padding), bias=head.bias is not None,
    )  # fmt: skip
    bound = 1 / math.sqrt(math.prod(new.weight.shape[1:]))
    nn.init.uniform_(new.weight, -bound, bound)
    return head.out_channels, new


def set_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module where the model has another, on the model's device.

    Args:
        model: Changed in place.
        name: The name of the one that goes, dotted.
        module: The one that comes.
    """
    parent, _, own = name.rpartition(".")
    place = next(weight.device for weight in model.parameters())
    setattr(model.get_submodule(parent), own, module.to(place))
