"""Text classification for ``tune.Tuner``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from trainables.base import SelectionTrainable
from trainables.data.description import describe_texts
from trainables.data.sentences import LabelledTexts, load_sentences
from trainables.data.settings.sentences import SentenceSettings
from trainables.models.bert import BERT_SIZES, pretrained_encoder
from trainables.models.build import build_from
from trainables.models.weights import DEFAULT
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task
from trainables.tasks.texts import TextTask, rows_by_split, tokenised
from tune_select.storage import local_path

_MODELS = {
    "text_transformer": "trainables.models.transformer.TextTransformer",
    **{name: f"trainables.models.bert.{name}" for name in BERT_SIZES},
}


class TextClassification(SelectionTrainable):
    """Trains a text classifier on the arm's texts; ``data`` is explained in ``load_sentences``.

    ``model`` is ``text_transformer``, a size of BERT with random weights (``bert_tiny``,
    ``bert_mini``, ``bert_small``, ``bert_base``), a folder with a pretrained encoder of the
    ``transformers`` library, or the import string of a model of one's own.
    """

    data_settings: ClassVar[type[SentenceSettings]] = SentenceSettings
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "text_transformer",
        "optimizer": "adamw",
        "learning_rate": 0.001,
        "batch_size": 32,
        "data": {"name": "opinions"},
    }

    @classmethod
    def load_dataset(cls, config: Mapping[str, Any]) -> LabelledTexts:
        """The texts that ``config["data"]`` names, for ``tune.with_parameters``."""
        return load_sentences(config.get("data", {}))

    @classmethod
    def describe(cls, dataset: Any) -> list[str]:
        """Lines for people on a loaded data set."""
        return describe_texts(dataset)

    def make_model(self, settings: TrialSettings, dataset: Any) -> nn.Module:
        """The model that ``settings.model`` names, other than a folder; override for your own."""
        shape = {
            "vocabulary_size": len(dataset.vocabulary),
            "num_classes": len(dataset.classes),
            "max_length": dataset.max_length,
        }
        return build_from(
            _MODELS, settings.model, shape, settings.model_settings, weights=settings.weights
        )

    def make_task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """The classifier on its texts."""
        folder = Path(local_path(settings.model))
        if not folder.is_dir():
            return TextTask(self.make_model(settings, dataset), dataset, device)
        if settings.model_settings:
            raise ValueError(
                f"model_settings {dict(settings.model_settings)} cannot change the pretrained "
                f"model in {settings.model!r}; remove them"
            )
        if settings.weights == DEFAULT:
            raise ValueError(
                f"weights: default does not go with model {settings.model!r}, a folder that holds "
                "its weights itself: leave weights out"
            )
        encoder, tokenizer = pretrained_encoder(folder, len(dataset.classes))
        tokens = {
            split: tokenised(tokenizer, rows, dataset.max_length)
            for split, rows in rows_by_split(dataset).items()
        }
        # A tokenizer without padding can fill up with anything: the mask hides it.
        padding = getattr(tokenizer, "pad_token_id", None) or 0
        return TextTask(encoder, dataset, device, tokens, padding)
