from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data.corpora import Corpus, load_corpus

DATA = os.environ.get("TUNE_SELECT_DATA")
TEXT = "".join(f"line {i} of the text\n" for i in range(100))


def words(corpus: Corpus, split: str = "train") -> list[str]:
    assert corpus.vocabulary is not None
    return [corpus.vocabulary.words[number] for number in getattr(corpus, split)]


def test_a_file_is_cut_at_line_ends_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    corpus = load_corpus({"name": "text", "root": str(path), "sequence_length": 8})
    lengths = [len(getattr(corpus, split)) for split in ("train", "validation", "test")]
    assert sum(lengths) == 600  # five words and the line end, a hundred times
    assert all(length % 6 == 0 for length in lengths)
    assert words(corpus)[:6] == ["line", "0", "of", "the", "text", "<eos>"]
    assert "99" not in words(corpus)
    assert "<unk>" in words(corpus, "test")  # its numbers never occur in the training text
    assert corpus.identity.size == (lengths[0] - 1) // 8


def test_bytes_are_the_file(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ä" + TEXT, encoding="utf-8")
    corpus = load_corpus({"name": "text", "root": str(path), "level": "byte"})
    streams = (corpus.train, corpus.validation, corpus.test)
    assert np.concatenate(streams).astype(np.uint8).tobytes() == path.read_bytes()
    assert corpus.vocabulary_size == 256


def test_a_folder_with_three_files(tmp_path: Path) -> None:
    for name, text in (("train", "a b a b"), ("valid", "a c"), ("test", "b a c")):
        (tmp_path / f"wiki.{name}.tokens").write_text(text + "\n")
    corpus = load_corpus({"name": "text", "root": str(tmp_path), "sequence_length": 2})
    assert words(corpus) == ["a", "b", "a", "b", "<eos>"]
    assert words(corpus, "test") == ["b", "a", "<unk>", "<eos>"]
    assert words(corpus, "validation") == ["a", "<unk>", "<eos>"]


def test_generated_text_is_seeded_and_learnable() -> None:
    one, again, other = (
        load_corpus({"data_seed": seed, "train_tokens": 4000}) for seed in (0, 0, 1)
    )
    assert one.identity == again.identity
    assert one.identity.fingerprint != other.identity.fingerprint
    assert len(one.train) == 4000
    # Every sentence ends the same way, so the successor of the full stop is certain.
    tokens = words(one)
    after = {tokens[i + 1] for i in range(len(tokens) - 1) if tokens[i] == "."}
    assert after == {"<eos>"}
    assert "<unk>" not in words(load_corpus({}), "test")


def test_fingerprint_follows_text_length_and_level(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    base: dict[str, Any] = {"name": "text", "root": str(path), "sequence_length": 8}
    variants = (
        base,
        base | {"sequence_length": 4},
        base | {"min_count": 2},
        base | {"level": "byte"},
    )
    assert len({load_corpus(variant).identity.fingerprint for variant in variants}) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "letter"}, r"data\.level must be word or byte, got 'letter'"),
        (
            {"sequence_length": 0},
            r"data\.sequence_length must be an integer of at least 1, got 0",
        ),
        ({"sequence_length": 5000}, "the training text of 'text' has 480 tokens, fewer than one"),
        ({"validation_fraction": 0.6, "test_fraction": 0.5}, "leave no text"),
        ({"label_noise": 0.1}, r"data\.label_noise needs labels"),
        ({"name": "ptb"}, r"data\.name must be one of grammar, wikitext-2, text"),
        ({"lenght": 3}, r"data\.lenght=3 is an unknown key"),
    ],
)
def test_bad_input_names_the_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    with pytest.raises(ValueError, match=message):
        load_corpus({"name": "text", "root": str(path), "sequence_length": 8} | change)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere; check data.root"):
        load_corpus({"name": "text", "root": str(tmp_path / "nowhere")})
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(ValueError, match="line 1: not utf-8 text"):
        load_corpus({"name": "text", "root": str(tmp_path / "latin.txt")})
    with pytest.raises(FileNotFoundError, match="must hold exactly one train file"):
        load_corpus({"name": "text", "root": str(tmp_path)})


def test_texts_without_words_are_refused(tmp_path: Path) -> None:
    data = {"name": "text", "root": tmp_path / "a.txt", "sequence_length": 4}
    (tmp_path / "a.txt").write_text("\n \n" * 50)
    with pytest.raises(ValueError, match=r"no word that occurs data\.min_count=1 times"):
        load_corpus(data)
    (tmp_path / "a.txt").write_text("one two\n" * 50)
    with pytest.raises(ValueError, match=r"data\.min_count=99 times: check data\.root, or lower"):
        load_corpus({**data, "min_count": 99})
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("one two\n" * 9 * (split != "valid"))
    with pytest.raises(ValueError, match=r"valid\.txt holds no text: fill or replace it"):
        load_corpus({**data, "root": tmp_path})


@pytest.mark.skipif(DATA is None, reason="TUNE_SELECT_DATA is not set")
def test_wikitext_has_its_published_counts() -> None:
    corpus = load_corpus({"name": "wikitext-2", "root": DATA})
    assert corpus.vocabulary_size == 33_278
    assert [len(stream) for stream in (corpus.train, corpus.validation, corpus.test)] == [
        2_088_628, 217_646, 245_569,
    ]  # fmt: skip
