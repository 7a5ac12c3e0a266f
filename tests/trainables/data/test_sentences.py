from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data.description import describe_texts
from trainables.data.sentences import LabelledTexts, load_sentences

DATA = os.environ.get("TUNE_SELECT_DATA")


def write_table(path: Path, rows: int = 100) -> dict[str, Any]:
    separator, quote = ("\t", '"') if path.suffix == ".tsv" else (",", "")
    lines = [f"sentence{separator}label"]
    lines += [f"word{i % 7} {quote}said it{quote} {i}{separator}{i % 3}" for i in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return {"name": "sentences", "root": str(path)}


def read_words(data: LabelledTexts, i: int) -> list[str]:
    start = 0 if i == 0 else data.train.word_ends[i - 1]
    return [data.vocabulary.words[n] for n in data.train.words[start : data.train.word_ends[i]]]


def test_generated_opinions_are_seeded_and_balanced() -> None:
    one, again, other = (load_sentences({"data_seed": s, "train_size": 500}) for s in (0, 0, 1))
    assert one.identity == again.identity
    assert one.identity.fingerprint != other.identity.fingerprint
    assert (len(one.train), len(one.validation), len(one.test)) == (450, 50, 1000)
    assert np.bincount(one.train.labels).tolist() == [225, 225]


def test_counting_words_does_not_solve_the_opinions() -> None:
    from sklearn.linear_model import LogisticRegression

    data = load_sentences({"train_size": 2000})

    def counts(rows: Any) -> np.ndarray[Any, Any]:
        table = np.zeros((len(rows), len(data.vocabulary)))
        owners = np.searchsorted(rows.word_ends, np.arange(len(rows.words)), side="right")
        np.add.at(table, (owners, rows.words), 1)
        return table

    linear = LogisticRegression(max_iter=2000).fit(counts(data.train), data.train.labels)
    accuracy = linear.score(counts(data.test), data.test.labels)
    assert 0.6 < accuracy < 0.9


def test_tables_round_trip_with_quotation_marks(tmp_path: Path) -> None:
    data = load_sentences(write_table(tmp_path / "texts.tsv") | {"min_count": 1})
    assert data.classes == ("0", "1", "2")
    texts = data.train.texts()
    assert all('"said it"' in text for text in texts)
    assert [int(text.split()[-1]) % 3 for text in texts] == data.train.labels.tolist()
    assert read_words(data, 5) == texts[5].split()
    assert len(data.train) + len(data.validation) + len(data.test) == 100


def test_length_and_rarity_limits(tmp_path: Path) -> None:
    data = load_sentences(write_table(tmp_path / "texts.tsv") | {"max_length": 2})
    assert np.diff(data.train.word_ends, prepend=0).max() == 2
    assert data.vocabulary.words[:2] == ("<pad>", "<unk>")
    # The number at the end occurs once and is too rare; the other words repeat.
    assert not any(word.isdigit() for word in data.vocabulary.words)


def test_a_folder_with_the_layout_of_sst2(tmp_path: Path) -> None:
    for split, rows in (("train", 60), ("dev", 12), ("test", 9)):
        write_table(tmp_path / f"{split}.tsv", rows)
    data = load_sentences({"name": "sst2", "root": str(tmp_path)})
    assert (len(data.train), len(data.validation), len(data.test)) == (60, 12, 9)
    limited = load_sentences({"name": "sst2", "root": str(tmp_path), "train_limit": 30})
    assert np.bincount(limited.train.labels).tolist() == [10, 10, 10]
    assert len(limited.test) == 9


def test_imdb_folders(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("pos", "neg", "unsup"):
            folder = tmp_path / "aclImdb" / split / label
            folder.mkdir(parents=True)
            for i in range(20):
                (folder / f"{i}.txt").write_text(f"{label} film {i}", encoding="utf-8")
    data = load_sentences({"name": "imdb", "root": str(tmp_path)})
    assert data.classes == ("neg", "pos")
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 4, 40)
    assert all(
        text.startswith(data.classes[label])
        for text, label in zip(data.train.texts(), data.train.labels, strict=True)
    )


def test_corruption_touches_the_training_split_alone(tmp_path: Path) -> None:
    config = write_table(tmp_path / "texts.tsv", 300)
    clean = load_sentences(config)
    noisy = load_sentences(config | {"label_noise": 0.2})
    assert int((clean.train.labels != noisy.train.labels).sum()) == round(0.2 * len(clean.train))
    assert noisy.train.texts() == clean.train.texts()
    np.testing.assert_array_equal(clean.test.labels, noisy.test.labels)
    np.testing.assert_array_equal(clean.validation.labels, noisy.validation.labels)
    thin = load_sentences(config | {"imbalance": {"classes": 0.3, "keep": 0.1}})
    sizes = sorted(np.bincount(thin.train.labels).tolist())
    assert sizes[0] == round(0.1 * sizes[1])
    assert set(thin.train.texts()) <= set(clean.train.texts())
    assert thin.vocabulary == clean.vocabulary
    assert len({d.identity.fingerprint for d in (clean, noisy, thin)}) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_column": "sentiment"}, r"has no column \['sentiment'\].*data\.text_column"),
        ({"name": "yelp"}, r"data\.name must be opinions, sst2, imdb or sentences"),
        ({"max_length": 0}, r"data\.max_length must be an integer of at least 1"),
        ({"test_fraction": 1}, r"data\.test_fraction must be a number in \[0, 1\), got 1"),
        ({"max_words": 3}, r"data\.max_words=3 is an unknown key"),
    ],
)
def test_bad_input_names_the_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_sentences(write_table(tmp_path / "texts.csv") | change)


def test_bad_tables(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("sentence,label\na,1\nb,1\n")
    with pytest.raises(ValueError, match="carry the one label"):
        load_sentences({"name": "sentences", "root": str(tmp_path / "one.csv")})
    (tmp_path / "gap.csv").write_text("sentence,label\na,1\nb\n")
    with pytest.raises(ValueError, match="line 3: 1 fields where the header has 2"):
        load_sentences({"name": "sentences", "root": str(tmp_path / "gap.csv")})
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere.*data\.root"):
        load_sentences({"name": "sentences", "root": str(tmp_path / "nowhere")})
    with pytest.raises(FileNotFoundError, match="IMDB's layout"):
        load_sentences({"name": "imdb", "root": str(tmp_path)})
    (tmp_path / "train.csv").write_text("sentence,label\na,1\nb,0\n")
    (tmp_path / "test.csv").write_text("sentence,label\na,2\n")
    with pytest.raises(ValueError, match=r"test texts carry labels that no training text has"):
        load_sentences({"name": "sentences", "root": str(tmp_path), "validation_fraction": 0})


def labelled(path: Path, labels: list[str]) -> LabelledTexts:
    rows = "".join(f"text {i}\t{label}\n" for i, label in enumerate(labels))
    path.write_text(f"sentence\tlabel\n{rows}")
    return load_sentences({"name": "sentences", "root": path})


def test_one_label_has_one_spelling_and_look_alikes_are_shown(tmp_path: Path) -> None:
    found = labelled(tmp_path / "a.tsv", ["caf\u00e9", "cafe\u0301", "1", "1.0"] * 8)
    assert found.classes == ("1", "caf\u00e9")
    found = labelled(tmp_path / "a.tsv", ["Good", "good", "bad"] * 8)
    assert found.classes == ("Good", "bad", "good")
    assert "classes: 'Good' and 'good' look alike" in describe_texts(found)
    assert labelled(tmp_path / "a.tsv", ["--5", "²", "-5", "10", "9"] * 8).classes == (
        "-5", "9", "10", "--5", "²"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b", "nan"] * 8, r"a\.tsv, line 4: the label is 'nan', .* for a missing one"),
        ([f"id{i}" for i in range(40)], "a label of its own for each of the 40: .* identifiers"),
        (["a", "", "b"] * 8, r"a\.tsv, line 3: a text or label is missing"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, labels: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        labelled(tmp_path / "a.tsv", labels)


def test_what_of_folders_is_no_text_is_left_out_and_said(tmp_path: Path) -> None:
    names = [f"{s}/{c}/{i}.txt" for s in ("train", "test") for c in ("no", "yes") for i in range(4)]
    odd = [
        "train/yes/9.TXT",
        "train/unsup/1.txt",
        "train/yes/deep/1.txt",
        "train/yes/a.md",
        "train/loose.txt",
        "train/__MACOSX/1.txt",
        "train/yes/._1.txt",
        "valid/yes/1.txt",
    ]
    for name in names + odd:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"words of {name.lower()}")
    found = load_sentences({"name": "imdb", "root": tmp_path, "validation_fraction": 0})
    assert len(found.train) == 9
    assert "words of train/yes/9.txt" in found.train.texts()
    assert [line for line in describe_texts(found) if line.startswith("left out")] == [
        "left out: 2 hidden files or folders in train (__MACOSX, train/yes/._1.txt)",
        "left out: 1 texts in train/unsup, which has no labels (train/unsup/1.txt)",
        "left out: 1 files with other endings in train (train/yes/a.md)",
        "left out: 1 texts in folders below a class of train (train/yes/deep/1.txt)",
        "left out: 1 files beside the classes of train (loose.txt)",
        "left out: 1 folders beside train and test (valid)",
    ]


@pytest.mark.skipif(DATA is None, reason="TUNE_SELECT_DATA is not set")
def test_sst2_has_its_published_counts() -> None:
    data = load_sentences({"name": "sst2", "root": DATA})
    assert (len(data.train), len(data.validation), len(data.test)) == (60_614, 6_735, 872)
    assert [int(rows.labels.sum()) for rows in (data.train, data.validation, data.test)] == [
        33_828, 3_741, 444,
    ]  # fmt: skip
