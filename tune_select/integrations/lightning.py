"""Lightning: the module's own ``training_step`` is the loss, untouched."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tune_select.loops.sampler import SubsetSampler


def subset_sampler(
    config: Mapping[str, Any], dataset: Any, module: LightningModule, **given: Any
) -> SubsetSampler:
    """The sampler of a DataLoader that a Lightning trainer fits.

    Args:
        config: A trial's configuration, see ``SubsetSampler.from_config``.
        dataset: The training set.
        module: Its ``training_step(batch, 0)`` gives the loss; what it logs there is dropped while
            a selection looks.
        **given: Further arguments of ``SubsetSampler``, ``epochs`` (the trainer's ``max_epochs``)
            among them where the configuration does not say.
    """
    given.setdefault("loss", training_loss(module))
    return SubsetSampler.from_config(config, dataset, model=module, **given)


def training_loss(module: LightningModule) -> Callable[[Any], Tensor]:
    """The loss of a batch as ``training_step`` computes it, without its logging.

    Raises:
        ValueError: The step returns no loss, as with manual optimisation.
    """

    taken = _arguments(module)

    def loss(batch: Any) -> Tensor:
        silenced = {"log": _nothing, "log_dict": _nothing}
        module.__dict__.update(silenced)
        try:
            output: Any = module.training_step(*(batch, 0)[:taken])
        finally:
            for name in silenced:
                module.__dict__.pop(name, None)
        found = output.get("loss") if isinstance(output, Mapping) else output
        if not isinstance(found, Tensor):
            raise ValueError(
                f"{type(module).__name__}.training_step returned no loss: give loss= as a function "
                "of the batch"
            )
        return found

    return loss


class SubsetCallback(Callback):
    """Logs what the sampler reports, so that Tune's own Lightning callback carries it.

    Also lets the trainer ask for the loader's length in each epoch, since a warm start's epochs are
    longer. Tune's ``TuneReportCheckpointCallback`` goes beside it.

    Args:
        sampler: The sampler of the training DataLoader.
    """

    def __init__(self, sampler: SubsetSampler) -> None:
        self.sampler = sampler

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Called by Lightning."""
        if len(set(self.sampler.lengths)) > 1:
            trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Called by Lightning."""
        if not trainer.sanity_checking:
            self._log(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Called by Lightning, after the validation where there is one."""
        if not trainer.enable_validation:
            self._log(pl_module)

    def _log(self, module: LightningModule) -> None:
        numbers = {name: float(value) for name, value in self.sampler.report().items()}
        module.log_dict(numbers, on_step=False, on_epoch=True, batch_size=1)


def _arguments(module: LightningModule) -> int:
    """How many of (batch, batch_idx) the step takes: Lightning knows steps of the batch alone."""
    parameters = inspect.signature(module.training_step).parameters.values()
    placed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters):
        return 2
    return min(2, sum(one.kind in placed for one in parameters))


def _nothing(*args: Any, **kwargs: Any) -> None:
    """In place of ``log``: no trainer is there to take it, or the values are no training's."""
