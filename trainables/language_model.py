"""Language modelling for ``tune.Tuner``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from trainables.base import SelectionTrainable
from trainables.data.corpora import Corpus, load_corpus
from trainables.data.description import describe_corpus
from trainables.data.settings.corpora import CorpusSettings
from trainables.models.build import build_from
from trainables.settings.trial import TrialSettings
from trainables.tasks.language import DEFAULT_SKETCH_SIZE, LanguageModelTask
from trainables.tasks.task import Task

_MODELS = {"transformer": "trainables.models.transformer.TransformerLM"}


class LanguageModel(SelectionTrainable):
    """Trains a language model on the arm's sequences; ``data`` is explained in ``load_corpus``."""

    metric: ClassVar[str] = "perplexity"
    mode: ClassVar[Literal["min", "max"]] = "min"
    data_settings: ClassVar[type[CorpusSettings]] = CorpusSettings
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "transformer",
        "optimizer": "adamw",
        "learning_rate": 0.001,
        "weight_decay": 0.01,
        "batch_size": 32,
        "clip_norm": 1.0,
        "sketch_size": DEFAULT_SKETCH_SIZE,
        "data": {"name": "grammar"},
    }

    @classmethod
    def load_dataset(cls, config: Mapping[str, Any]) -> Corpus:
        """The text that ``config["data"]`` names, for ``tune.with_parameters``."""
        return load_corpus(config.get("data", {}))

    @classmethod
    def describe(cls, dataset: Any) -> list[str]:
        """Lines for people on a loaded data set."""
        return describe_corpus(dataset)

    def make_model(self, settings: TrialSettings, dataset: Any) -> nn.Module:
        """The model that ``settings.model`` names; override for one of your own."""
        shape = {
            "vocabulary_size": dataset.vocabulary_size,
            "sequence_length": dataset.sequence_length,
        }
        return build_from(
            _MODELS, settings.model, shape, settings.model_settings, weights=settings.weights
        )

    def make_task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """The language model on its corpus."""
        size = settings.extra["sketch_size"]
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"sketch_size must be an integer of at least 1, got {size!r}")
        return LanguageModelTask(
            self.make_model(settings, dataset),
            dataset,
            device,
            sketch_size=size,
            sketch_seed=settings.seed,
        )
