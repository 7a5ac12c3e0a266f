from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables.data.sentences import LabelledTexts, load_sentences
from trainables.models.transformer import TextTransformer
from trainables.tasks.texts import TextTask, Tokens, padded
from trainables.text_classification import TextClassification

DATA = os.environ.get("TUNE_SELECT_DATA")
SMALL = {"name": "opinions", "train_size": 600, "test_size": 200}
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra 'text'"
)
# Third-party: torch.jit and SWIG as imported by transformers on some versions of Python.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def texts() -> LabelledTexts:
    return load_sentences(SMALL)


def make_task(texts: LabelledTexts) -> TextTask:
    torch.manual_seed(0)
    model = TextTransformer(len(texts.vocabulary), len(texts.classes), texts.max_length)
    return TextTask(model, texts)


def test_padding_is_what_is_not_text() -> None:
    tokens = Tokens(np.array([5, 6, 7, 8, 9, 10], np.int32), np.array([2, 3, 6]))
    numbers, lengths = padded(tokens, np.array([2, 0, 1]), padding=1, width=4)
    np.testing.assert_array_equal(numbers, [[8, 9, 10, 1], [5, 6, 1, 1], [7, 1, 1, 1]])
    np.testing.assert_array_equal(lengths, [3, 2, 1])


def test_a_text_is_judged_alike_in_any_company(texts: LabelledTexts) -> None:
    task = make_task(texts)
    task.model.eval()
    lengths = np.diff(texts.train.word_ends, prepend=0)
    short, long = int(lengths.argmin()), int(lengths.argmax())
    alone = task.losses(task.batch(torch.tensor([short])))
    together = task.losses(task.batch(torch.tensor([long, short])))
    torch.testing.assert_close(alone[0], together[1])


def test_signals_are_the_gradients_that_autograd_gives(texts: LabelledTexts) -> None:
    task = make_task(texts)
    signals = task.signals()
    task.model.eval()
    losses = task.losses(task.batch(torch.arange(4)))
    for i in range(4):
        weight, bias = torch.autograd.grad(
            losses[i], [task.head().weight, task.head().bias], retain_graph=True
        )
        p, h = signals.output_gradients[i], signals.inputs[i]
        torch.testing.assert_close(p[:, None] * h, weight, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(p, bias, rtol=1e-3, atol=1e-6)
    assert torch.equal(signals.labels, torch.tensor(texts.train.labels))


def test_a_text_without_words_is_no_catastrophe(tmp_path: Path) -> None:
    (tmp_path / "texts.tsv").write_text("sentence\tlabel\n\t1\ngood\t1\nbad\t0\n\t0\n")
    data = load_sentences(
        {"name": "sentences", "root": str(tmp_path / "texts.tsv"), "min_count": 1,
         "validation_fraction": 0, "test_fraction": 0}
    )  # fmt: skip
    task = make_task(data)
    losses = task.losses(task.batch(torch.arange(4)))
    losses.sum().backward()
    assert torch.isfinite(losses).all()
    assert task.evaluate("test") == {}


@pytest.mark.parametrize("arm", ["full", "gradmatch"])
def test_learns_what_counting_words_cannot(arm: str) -> None:
    epochs = 8 if arm == "full" else 20
    trainable = TextClassification(
        {
            "arm": arm,
            "device": "cpu",
            "data": {**SMALL, "train_size": 1500},
            "model_settings": {"width": 32, "feedforward": 64, "dropout": 0.0},
            "max_epochs": epochs,
            "learning_rate": 0.003,
            "selection": {"fraction": 0.3, "select_every": 10},
        }
    )
    results = [trainable.train() for _ in range(epochs)]
    trainable.stop()
    assert results[-1]["done"]
    assert results[-1]["test_accuracy"] > (0.8 if arm == "full" else 0.65)


def test_without_transformers_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tune-select\[text\]', or use"):
        TextClassification({"model": "bert_tiny", "data": SMALL, "device": "cpu"})


def test_bad_models_are_named() -> None:
    with pytest.raises(ValueError, match="model must be one of text_transformer, bert_tiny"):
        TextClassification({"model": "roberta", "data": SMALL, "device": "cpu"})


@needs_transformers
def test_a_fresh_bert_trains_and_refuses_unknown_settings() -> None:
    config: dict[str, Any] = {
        "arm": "full",
        "model": "bert_tiny",
        "device": "cpu",
        "data": SMALL,
        "max_epochs": 2,
        "model_settings": {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 32},
        "selection": {"select_every": 1},
    }
    trainable = TextClassification(config)
    first, second = trainable.train(), trainable.train()
    trainable.stop()
    assert second["train_loss"] < first["train_loss"]
    with pytest.raises(ValueError, match=r"model_settings \['depth'\] are no settings of"):
        TextClassification({**config, "model_settings": {"depth": 3}})


@needs_transformers
def test_a_local_folder_brings_its_own_tokenizer(tmp_path: Path, texts: LabelledTexts) -> None:
    import transformers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "is", "good", ".", ","]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer = transformers.BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt"))
    folder = tmp_path / "encoder"
    tokenizer.save_pretrained(folder)
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16}
    bert = transformers.BertConfig(vocab_size=len(words), intermediate_size=16, **shape)
    torch.manual_seed(1)
    encoder = transformers.BertModel(bert)
    encoder.save_pretrained(folder)
    config = {"model": str(folder), "data": SMALL, "device": "cpu", "max_epochs": 20}
    trainable = TextClassification(config)
    task = trainable.task
    tokens, lengths = task.batch(torch.arange(3)).inputs
    expected = tokenizer(texts.train.texts()[:3], padding=True)
    assert tokens[:, : lengths.max()].tolist() == expected["input_ids"]
    assert lengths.tolist() == [sum(mask) for mask in expected["attention_mask"]]
    loaded = task.model.encoder.embeddings.word_embeddings.weight  # type: ignore[union-attr]
    assert torch.equal(loaded, encoder.embeddings.word_embeddings.weight)
    trainable.stop()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"must hold config\.json, model\.safetensors"):
        TextClassification(config)


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="TUNE_SELECT_DATA is not set")
def test_real_sentences_are_learned() -> None:
    trainable = TextClassification(
        {
            "arm": "full",
            "device": "cpu",
            "data": {"name": "sst2", "root": DATA, "max_length": 32, "train_limit": 6000},
            "batch_size": 64,
            "max_epochs": 4,
        }
    )
    results = [trainable.train() for _ in range(4)]
    trainable.stop()
    assert results[-1]["test_accuracy"] > 0.7  # 0.51 of the test sentences are positive
