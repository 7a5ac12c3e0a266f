"""Weights from a file, or those that a library publishes, into a model that may differ a little."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

import torch
import torchvision
from torch import Tensor, nn

from trainables.models.fitting import first_convolution, set_module, spread_channels
from trainables.models.notes import note
from tune_select.storage import local_path

DEFAULT = "default"
"""What stands for the weights that a library publishes for a model."""

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "params")
_SHOWN = 4  # names of a message


def read_weights(path: str) -> dict[str, Tensor]:
    """A state dictionary from a ``.safetensors`` file or one of ``torch.save``.

    Nothing is unpickled. Checkpoints that hold one under a customary name, a trial's own among
    them, do too.

    Args:
        path: The path of the file, relative to where the sweep was started.

    Raises:
        ValueError: There is none, or it holds no tensors by name.
    """
    file = Path(local_path(path))
    if not file.is_file():
        raise ValueError(
            f"weights is {path!r}, but there is no file {file}; name a .safetensors or .pt file, "
            f"or {DEFAULT} for what the model's library publishes"
        )
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except ModuleNotFoundError:
        raise ValueError(
            f"weights is {path!r}, which needs safetensors: pip install safetensors"
        ) from None
    except Exception as error:  # safetensors and torch have an error of their own for each damage
        raise ValueError(
            f"weights is {path!r}, which cannot be read as tensors alone ({type(error).__name__}: "
            f"{error!s:.150}); save model.state_dict() and nothing else"
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    if not isinstance(found, Mapping) or not any(isinstance(v, Tensor) for v in found.values()):
        raise ValueError(f"weights is {path!r}, which holds no tensors by name (a state_dict)")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def published_weights(factory: Any, name: str) -> dict[str, Tensor]:
    """The default weights of one of torchvision's models, from its cache or the network.

    Raises:
        ValueError: They are not in the cache and cannot be fetched.
    """
    weights = torchvision.models.get_model_weights(factory).DEFAULT
    try:
        return cast(
            dict[str, Tensor],
            weights.get_state_dict(progress=False, check_hash=True, weights_only=True),
        )
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"weights: default of model {name!r} cannot be fetched from {weights.url} ({error}); "
            "fetch that file where there is a network and name it: weights: FILE"
        ) from None


def load_weights(
    model: nn.Module, state: Mapping[str, Tensor], source: str, heads: Callable[[], Collection[str]]
) -> None:
    """Take over all weights but those of a last layer for other classes; says what was left out.

    A first convolution for other channels, or of another kernel, is made to fit the weights: the
    stems of small images have kernels of their own.

    Args:
        model: Made already, and as it will be trained.
        state: Names and tensors.
        source: Where they are from, for messages.
        heads: Names of the layers that may keep their fresh weights; asked for if need be.

    Raises:
        ValueError: The weights are another model's.
    """
    own = model.state_dict()
    given = _named_alike(state, own)
    given = _stem_fitted(model, given)
    own = model.state_dict()
    counted = {name for name in own if name.endswith("num_batches_tracked")}
    lacking = [name for name in own if name not in given and name not in counted]
    other = [name for name in own if name in given and given[name].shape != own[name].shape]
    fresh: set[str] = set()
    if lacking or other:
        tops = heads()
        fresh = {n for n in [*lacking, *other] if any(_within(n, top) for top in tops)}
    wrong = [name for name in [*lacking, *other] if name not in fresh]
    if wrong:
        raise ValueError(_misfit(source, wrong, lacking, given, own))
    taken = {name: value for name, value in given.items() if name in own and name not in fresh}
    model.load_state_dict(taken, strict=False)
    unused = len([name for name in given if name not in own])
    text = f"{len(taken)} of {len(own)} tensors from {source}"
    text += f"; fresh: {', '.join(sorted(fresh))}" if fresh else ""
    note(model, text + (f"; {unused} of the source not used" if unused else ""))


def _within(name: str, module: str) -> bool:
    return not module or name == module or name.startswith(f"{module}.")


def _named_alike(state: Mapping[str, Tensor], own: Collection[str]) -> dict[str, Tensor]:
    """The state without what wrappers put before every name (``module.``, ``_orig_mod.``, ...)."""
    names = list(state)
    known = set(own)
    while names and not known & set(names):
        heads = {name.partition(".")[0] for name in names}
        if len(heads) > 1 or any("." not in name for name in names):
            break
        names = [name.partition(".")[2] for name in names]
    return dict(zip(names, state.values(), strict=True))


def _stem_fitted(model: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    found = first_convolution(model)
    if found is None:
        return given
    name, conv = found
    weight = given.get(f"{name}.weight")
    if weight is None or weight.ndim != 4 or weight.shape == conv.weight.shape:
        return given
    if conv.groups == 1 and weight.shape[1] != conv.in_channels:
        weight = spread_channels(weight, conv.in_channels)
        note(model, f"{name}: weights for {given[f'{name}.weight'].shape[1]} channels, spread")
    size = (int(weight.shape[2]), int(weight.shape[3]))
    odd = all(side % 2 for side in size)
    if size != conv.kernel_size and odd and conv.padding != (0, 0):
        new = nn.Conv2d(
            conv.in_channels, conv.out_channels, size, cast(Any, conv.stride),
            padding=(size[0] // 2, size[1] // 2), groups=conv.groups,
            bias=conv.bias is not None,
        )  # fmt: skip
        set_module(model, name, new)
        note(model, f"{name}: the kernel is the weights' own, {size[0]} x {size[1]}")
    return {**given, f"{name}.weight": weight}


def _misfit(
    source: str,
    wrong: list[str],
    lacking: list[str],
    given: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
) -> str:
    def shown(name: str) -> str:
        if name in lacking:
            return f"{name} is not there"
        return f"{name} is {tuple(given[name].shape)} there and {tuple(own[name].shape)} here"

    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return (
        f"weights: {source} does not fit the model: {'; '.join(map(shown, wrong[:_SHOWN]))}{more};"
        " the model, its model_settings and data.image_size must be those they were trained with"
    )
