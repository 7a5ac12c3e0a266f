"""Hugging Face's Trainer: ``compute_loss`` is the loss, untouched, also in its own search."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ray import tune
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tune_select.loops.sampler import SubsetSampler
from tune_select.selection.heads.notes import kept_notes

_OF_SUBSETS = ("arm", "arms", "resolved_arm", "history", "selection", "configuration", "phase")

if TYPE_CHECKING:  # what the mixin is mixed into
    _Base = Trainer
else:
    _Base = object


class SubsetMixin(_Base):
    """Draws the training examples of any ``Trainer`` through a ``SubsetSampler``.

    Put it before the trainer: ``class MyTrainer(SubsetMixin, Seq2SeqTrainer)``. In a search of the
    trainer's own (``hyperparameter_search(backend="ray")``) the trial's arm, history and selection
    come out of its configuration, and reports say what a seed has published.

    Args:
        subsets: A trial's configuration, see ``SubsetSampler.from_config``, or further arguments of
            ``SubsetSampler``; everything else is the trainer's.
        *args: The trainer's.
        **kwargs: The trainer's.
    """

    sampler: SubsetSampler | None = None

    def __init__(self, *args: Any, subsets: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.subsets = dict(subsets or {})
        super().__init__(*args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> SubsetSampler:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        epochs = self.args.num_train_epochs
        if epochs != int(epochs) or self.args.max_steps > 0:
            raise ValueError(
                "selection counts whole epochs: set num_train_epochs to an integer and leave "
                f"max_steps out, got {epochs} and {self.args.max_steps}"
            )
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        self.sampler = SubsetSampler.from_config(
            {"seed": seed, **self.subsets, "max_epochs": int(epochs)},
            dataset,
            model=self.model,
            loss=self._selection_loss,
            collate_fn=self._selection_collator(),
            batch_size=self.args.per_device_eval_batch_size,
            **{k: v for k, v in self.subsets.items() if k in _ARGUMENTS},
        )
        return self.sampler

    def set_initial_training_values(
        self, args: TrainingArguments, dataloader: Any, *more: Any
    ) -> Any:
        """The trainer's own, with the steps counted where a warm start's epochs are longer.

        Transformers 5.0 hands it the size of a batch as well.
        """
        *values, steps = super().set_initial_training_values(args, dataloader, *more)
        if self.sampler is not None:
            per_step = self.get_total_train_batch_size(args)
            steps = sum(math.ceil(length / per_step) for length in self.sampler.lengths)
        return (*values, steps)

    def _selection_loss(self, batch: Any) -> Tensor:
        # A compute_loss of one's own may collect what the trainer logs.
        with self.compute_loss_context_manager(), kept_notes(self):
            found: Any = self.compute_loss(self.model, self._prepare_inputs(batch))  # type: ignore[arg-type]
        return found  # type: ignore[no-any-return]

    def _selection_collator(self) -> Callable[[list[Any]], Any]:
        return self._get_collator_with_removed_columns(self.data_collator, "selection")

    def _hp_search_setup(self, trial: Any) -> None:
        if isinstance(trial, dict):
            self.subsets |= {key: trial[key] for key in _OF_SUBSETS if key in trial}
            trial = {key: value for key, value in trial.items() if key not in _OF_SUBSETS}
        super()._hp_search_setup(trial)

    def _report_to_hp_search(self, trial: Any, step: int, metrics: dict[str, float]) -> None:
        if self.sampler is None or trial is None or self.hp_search_backend is None:
            super()._report_to_hp_search(trial, step, metrics)
            return
        # The objective, by default the sum of all metrics, must not see what is added.
        own, added = self.compute_objective, self.sampler.report()
        self.compute_objective = lambda given: own(
            {name: value for name, value in given.items() if name in metrics}
        )
        try:
            super()._report_to_hp_search(trial, step, {**metrics, **added})
        finally:
            self.compute_objective = own


_ARGUMENTS = ("fraction", "select_every", "warm_start_epochs", "algorithm", "head", "labels",
              "weights", "fingerprint", "validation", "align", "settings", "wait_s")  # fmt: skip


class SubsetTrainer(SubsetMixin, Trainer):
    """``transformers.Trainer`` on subsets."""


class SubsetCallback(TrainerCallback):
    """Reports each evaluation to Ray Tune, where the trainer runs in a function trainable.

    Args:
        trainer: The trainer with ``SubsetMixin``;
            ``trainer.add_callback(SubsetCallback(trainer))``.
    """

    def __init__(self, trainer: SubsetMixin) -> None:
        self._trainer = trainer

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Called by the trainer.

        Args:
            args: The trainer's arguments.
            state: Where it is.
            control: What it does next.
            metrics: The metrics of the evaluation.
            **kwargs: Whatever else it passes on.
        """
        sampler = self._trainer.sampler
        if sampler is not None and sampler.epoch >= 0:
            tune.report({**(metrics or {}), **sampler.report()})
