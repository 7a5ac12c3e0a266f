"""The ``data`` of a text classification."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.data.settings.base import Count, Encoding, Seed, Share, Text
from trainables.data.settings.corruption import CorruptibleSettings


class SentenceSettings(CorruptibleSettings):
    """What ``data`` means to ``trainables.TextClassification``; see ``load_sentences``.

    Attributes:
        encoding: The encoding of files without a byte-order mark.
        text_column: Column of the texts.
        label_column: Column of their labels.
        max_length: Words (or tokens) kept of each text.
        min_count: Words that are rarer in the training texts become ``<unk>``.
        validation_fraction: The validation share of the training texts, where there is no file
            of them.
        test_fraction: The same.
        split_seed: The seed of both.
        train_limit: A stratified draw of so many training texts.
        train_size: Texts that are generated.
        test_size: The same.
        data_seed: The seed of their generation.
    """

    name: Literal["opinions", "sst2", "imdb", "sentences"] = Field(
        default="opinions",
        description="opinions, sst2, imdb or sentences (with root: FILE for texts of your own)",
    )
    encoding: Encoding = None
    text_column: Text = "sentence"
    label_column: Text = "label"
    max_length: Count = 64
    min_count: Count = 2
    validation_fraction: Share = 0.1
    test_fraction: Share = 0.2
    split_seed: Seed = 0
    train_limit: Count | None = None
    train_size: Count = 4_000
    test_size: Count = 1_000
    data_seed: Seed = 0
