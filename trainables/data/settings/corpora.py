"""The ``data`` of a language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import field_validator

from trainables.data.settings.base import Count, DataSettings, Encoding, Seed, Share
from tune_select.messages import Problem, SettingsError
from tune_select.wording import not_among, shown

_NAMES = ("grammar", "wikitext-2", "text")


class CorpusSettings(DataSettings):
    """What ``data`` means to ``trainables.LanguageModel``; see ``load_corpus``.

    Attributes:
        name: ``grammar``, ``wikitext-2`` (or another ``wikitext-*``) or ``text``.
        encoding: The encoding of files without a byte-order mark.
        level: What a token is.
        min_count: Words that are rarer in the training text become ``<unk>``.
        sequence_length: Tokens that are predicted in an example.
        train_tokens: The first so many training tokens are kept.
        validation_fraction: The validation share of the characters of one file.
        test_fraction: The same.
        data_seed: The seed of the generated text.
    """

    name: str = "grammar"
    encoding: Encoding = None
    level: Literal["word", "byte"] = "word"
    min_count: Count = 1
    sequence_length: Count = 35
    train_tokens: Count | None = None
    validation_fraction: Share = 0.1
    test_fraction: Share = 0.1
    data_seed: Seed = 0

    @classmethod
    def of(cls, data: Mapping[str, Any] | Self) -> Self:
        """As the base class; says why the keys of label noise are not among its own."""
        if isinstance(data, Mapping):
            lacking = "needs labels, which language modelling lacks: remove it"
            problems = [
                Problem(f"data.{key}", f" {lacking}, got {shown(data[key])}")
                for key in ("label_noise", "imbalance")
                if key in data
            ]
            if problems:
                raise SettingsError(problems)
        return super().of(data)

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in _NAMES and not name.startswith("wikitext"):
            raise ValueError(
                not_among("", name, _NAMES, " (with root: FILE for text of your own)").lstrip()
            )
        return name
