"""A trial's model before its first step: the user's weights in it, and what is frozen."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from trainables.models.notes import note
from trainables.models.weights import DEFAULT, load_weights, read_weights
from trainables.tasks.task import Task
from tune_select.wording import did_you_mean

BACKBONE = "backbone"
"""What stands for everything but the last layer."""


def prepare_model(task: Task, weights: str | None, freeze: str | Sequence[str] | None) -> None:
    """Load ``weights`` into the task's model and freeze what ``freeze`` names.

    Args:
        task: Its model is as it will be trained.
        weights: A file; ``default`` is the model builder's business.
        freeze: Names of modules or parameters, or ``backbone`` for all but the last layer.

    Raises:
        ValueError: The file does not fit, or a name is not the model's.
    """
    if weights is not None and weights != DEFAULT:
        state = read_weights(weights)
        load_weights(task.model, state, weights, lambda: [name for name, _ in task.heads()])
    if freeze:
        _freeze(task, [freeze] if isinstance(freeze, str) else list(freeze))


def _freeze(task: Task, names: Sequence[str]) -> None:
    model = task.model
    parameters = dict(model.named_parameters())
    frozen: set[str] = set()
    for name in names:
        frozen |= set(_named(task, name, list(parameters)))
    for name in frozen:
        parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ValueError(f"freeze: {', '.join(names)} leaves nothing of the model to train")
    task.frozen = tuple(frozen_modules(model))
    left = sum(p.numel() for p in parameters.values() if p.requires_grad)
    total = sum(p.numel() for p in parameters.values())
    note(model, f"frozen: {', '.join(names)}; {left:,} of {total:,} parameters train")


def _named(task: Task, name: str, parameters: list[str]) -> list[str]:
    inside = [own for own in parameters if own == name or own.startswith(f"{name}.")]
    if inside:
        return inside
    if name == BACKBONE:
        heads = [head for head, _ in task.heads()]
        return [own for own in parameters if not any(own.startswith(f"{head}.") for head in heads)]
    beginning = [own for own in parameters if own.startswith(name)]
    if name and beginning:
        return beginning
    modules = [own for own, _ in task.model.named_modules() if own]
    raise ValueError(
        f"freeze names {name!r}, which begins no parameter of {type(task.model).__name__}; "
        f"{did_you_mean(name, [BACKBONE, *modules])}"
    )


def frozen_modules(model: nn.Module) -> list[nn.Module]:
    """Modules with parameters, none of which is trained: they stay in evaluation mode.

    Else batch normalisation would go on gathering statistics, and what is called frozen would
    change; and dropout would blur features that nothing learns from.
    """
    return [
        module
        for module in model.modules()
        if (own := list(module.parameters())) and not any(p.requires_grad for p in own)
    ]
