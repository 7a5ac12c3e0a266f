"""Where a model's name leads: ours, torchvision's, timm's, or an import string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torchvision

from tune_select.imports import import_string
from tune_select.wording import did_you_mean, not_among

FAMILIES = ("torchvision", "timm")
"""Packages whose models are named ``package/name``."""


def find_factory(name: str, homes: Mapping[str, str], *, families: bool = False) -> Any:
    """The class or function that makes a model.

    Args:
        name: One of ``homes``, an import string (``a.b.C`` or ``a.b:C``), or where ``families`` are
            known ``torchvision/NAME`` and ``timm/NAME``.
        homes: Import string of each name of our own.
        families: Whether the models of ``FAMILIES`` do for the task.

    Raises:
        ValueError: Nothing is there; says what was probably meant.
    """
    family, slash, own = name.partition("/")
    if slash and families and family in FAMILIES:
        return _torchvision(own) if family == "torchvision" else _timm(own)
    location = homes.get(name, name)
    if "." not in location and ":" not in location:
        others = ", torchvision/NAME, timm/NAME" if families else ""
        raise ValueError(not_among("model", name, homes, f"{others} or an import string"))
    return import_string(location, "model")


def _torchvision(name: str) -> Any:
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ValueError(
            f"model is 'torchvision/{name}', but torchvision {torchvision.__version__} has no "
            f"classifier of that name; {did_you_mean(name, known)}"
        )
    return torchvision.models.get_model_builder(name)


def _timm(name: str) -> Any:
    try:
        import timm
    except ModuleNotFoundError:
        raise ValueError(
            f"model is 'timm/{name}', but timm is not installed: pip install 'tune-select[timm]'"
        ) from None
    if not timm.is_model(name):
        raise ValueError(
            f"model is 'timm/{name}', but timm {timm.__version__} has no model of that name; "
            f"{did_you_mean(name, timm.list_models())}"
        )
    return timm.model_entrypoint(name)
