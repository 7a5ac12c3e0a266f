"""Training steps through ``torch.compile``; everything that looks into the model stays eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task
from tune_select.wording import not_among

_DEFAULT = "inductor"


def check_compile(settings: TrialSettings) -> None:
    """Refuse a backend that is not there, and what cannot be seen in a compiled model.

    Raises:
        ValueError: Names the key, its value and the remedy.
    """
    if settings.compile is False:
        return
    if settings.compile is not True:
        known = torch.compiler.list_backends()
        if settings.compile not in known:
            raise ValueError(not_among("compile", settings.compile, ("true", "false", *known)))
    if settings.forgetting_record is not None:
        raise ValueError(
            f"compile={settings.compile!r} hides the predictions that forgetting_record="
            f"{settings.forgetting_record!r} is written from: leave one of them out"
        )


def compile_model(task: Task, settings: TrialSettings) -> None:
    """Compile the task's model in place, so that its parameters keep their names.

    The first steps pay for it, and are booked as training. ``capture_head`` and what evaluates
    with hooks run the model as it was written.
    """
    if settings.compile is False:
        return
    backend = _DEFAULT if settings.compile is True else settings.compile
    model = task.model
    written: Callable[..., Any] = model._call_impl

    # What Module.compile does, but for this function around the call: torch 2.11 leaves a model
    # whose class is torch's own, such as a bare nn.Sequential, as it is, and says nothing.
    def call(*arguments: Any, **keywords: Any) -> Any:
        return written(*arguments, **keywords)

    model._compiled_call_impl = torch.compile(call, backend=backend)
