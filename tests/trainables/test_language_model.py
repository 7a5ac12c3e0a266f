from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.data.corpora import Corpus, load_corpus
from trainables.language_model import LanguageModel
from trainables.models.transformer import TransformerLM
from trainables.tasks.language import LanguageModelTask
from tune_select.selection.heads.capture import capture_head, evaluation_mode

DATA = os.environ.get("TUNE_SELECT_DATA")
SMALL = {"name": "grammar", "train_tokens": 1500, "sequence_length": 8}
SIZES = {"width": 12, "heads": 2, "layers": 1, "feedforward": 16}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(SMALL)


def make_task(corpus: Corpus, **keywords: Any) -> LanguageModelTask:
    torch.manual_seed(0)
    model = TransformerLM(corpus.vocabulary_size, corpus.sequence_length, **SIZES)
    return LanguageModelTask(model, corpus, **keywords)


def autograd_gradients(task: LanguageModelTask, count: int) -> Tensor:
    """(count, C (D + 1)) gradients of the first sequences' losses in the last layer."""
    head = task.head()
    with evaluation_mode(task.model):
        losses = task.losses(task.batch(torch.arange(count)))
    rows = []
    for loss in losses:
        weight, bias = torch.autograd.grad(loss, [head.weight, head.bias], retain_graph=True)
        rows.append(torch.cat([weight, bias[:, None]], dim=1).flatten())
    return torch.stack(rows)


def test_batches_are_the_stream_and_what_follows(corpus: Corpus) -> None:
    task = make_task(corpus)
    batch = task.batch(torch.tensor([2, 0]))
    np.testing.assert_array_equal(batch.inputs[0], corpus.train[16:24])
    np.testing.assert_array_equal(batch.targets[0], corpus.train[17:25])
    np.testing.assert_array_equal(batch.inputs[1], corpus.train[:8])
    last = task.batch(torch.tensor([task.train_size - 1]))
    assert last.targets.shape == (1, 8)


def test_loss_is_the_mean_over_the_tokens(corpus: Corpus) -> None:
    task = make_task(corpus)
    task.model.eval()
    batch = task.batch(torch.arange(3))
    losses = task.losses(batch)
    log_shares = functional.log_softmax(task.model(batch.inputs), dim=2)
    for i in range(3):
        expected = -log_shares[i, torch.arange(8), batch.targets[i]].mean()
        torch.testing.assert_close(losses[i], expected)


def test_no_position_sees_what_it_predicts(corpus: Corpus) -> None:
    task = make_task(corpus)
    task.model.eval()
    tokens = task.batch(torch.arange(2)).inputs
    changed = tokens.clone()
    changed[:, 5:] = 0
    before, after = task.model(tokens), task.model(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_a_model_that_knows_nothing_has_the_perplexity_of_the_vocabulary(corpus: Corpus) -> None:
    task = make_task(corpus)
    nn.init.zeros_(task.head().weight)
    nn.init.zeros_(task.head().bias)
    scores = task.evaluate("test")
    assert scores["perplexity"] == pytest.approx(corpus.vocabulary_size, rel=1e-5)
    assert scores["loss"] == pytest.approx(math.log(corpus.vocabulary_size), rel=1e-5)


def test_small_gradients_are_passed_exactly(corpus: Corpus) -> None:
    task = make_task(corpus, sketch_size=10_000)
    exact = autograd_gradients(task, 6)
    signals = task.signals()
    assert signals.output_gradients.shape == (task.train_size, 1)
    assert not signals.bias
    vectors = signals.inputs[:6] * signals.output_gradients[:6]
    torch.testing.assert_close(vectors @ vectors.T, exact @ exact.T, rtol=1e-4, atol=1e-6)


def test_sketched_inner_products_stay_within_the_stated_bound(corpus: Corpus) -> None:
    size, count = 512, 12
    exact = autograd_gradients(make_task(corpus), count)
    norms = exact.norm(dim=1)
    errors = []
    for seed in range(20):
        signals = make_task(corpus, sketch_size=size, sketch_seed=seed).signals()
        assert signals.inputs.shape == (signals.labels.shape[0], size)
        vectors = signals.inputs[:count]
        errors.append((vectors @ vectors.T - exact @ exact.T) / norms.outer(norms))
    assert float(torch.stack(errors).square().mean().sqrt()) < math.sqrt(11 / size)


def test_the_gram_matrix_inside_the_mini_batch_is_exact(corpus: Corpus) -> None:
    task = make_task(corpus)
    exact = autograd_gradients(task, 5)
    with evaluation_mode(task.model), capture_head(task.model, task.head()) as capture:
        losses = task.losses(task.batch(torch.arange(5)))
        h, p = capture.inputs, capture.gradients(losses)
    assert (h.shape, p.shape) == ((5, 8, 12), (5, 8, corpus.vocabulary_size))
    # K_ij = sum over s and t of (h_is . h_jt + 1)(p_is . p_jt)
    gram = torch.einsum("isjt,isjt->ij", torch.einsum("isd,jtd->isjt", h, h) + 1,
                        torch.einsum("isc,jtc->isjt", p, p))  # fmt: skip
    torch.testing.assert_close(gram, exact @ exact.T, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arm", ["full", "gradmatch", "random"])
def test_every_kind_of_arm_learns_the_grammar(arm: str) -> None:
    config = {
        "arm": arm,
        "device": "cpu",
        "data": {**SMALL, "train_tokens": 8000},
        "model_settings": {**SIZES, "dropout": 0.0},
        "learning_rate": 0.01,
        "max_epochs": 6 if arm == "full" else 12,
        "batch_size": 25,
        "sketch_size": 256,
        "evaluation": {"test": "every"},
        "selection": {"fraction": 0.3, "select_every": 6},
    }
    trainable = LanguageModel(config)
    results = [trainable.train() for _ in range(config["max_epochs"])]
    trainable.stop()
    assert results[-1]["done"]
    assert results[-1]["test_perplexity"] < 0.6 * results[0]["test_perplexity"]
    assert results[-1]["test_perplexity"] < 20  # of a vocabulary of 147
    assert results[-1]["val_perplexity"] == pytest.approx(math.exp(results[-1]["val_loss"]))


def test_bad_settings_name_the_key() -> None:
    with pytest.raises(ValueError, match="sketch_size must be an integer of at least 1, got 0"):
        LanguageModel({"data": SMALL, "sketch_size": 0})
    with pytest.raises(ValueError, match="heads must divide width, got width 12 and heads 5"):
        LanguageModel({"data": SMALL, "model_settings": {**SIZES, "heads": 5}})
    with pytest.raises(ValueError, match=r"model_settings\.depth is not taken"):
        LanguageModel({"data": SMALL, "model_settings": {"depth": 5}})


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="TUNE_SELECT_DATA is not set")
def test_real_text_is_learned_and_its_gradients_matched() -> None:
    trainable = LanguageModel(
        {
            "arm": "gradmatch",
            "device": "cpu",
            "data": {
                "name": "wikitext-2",
                "root": DATA,
                "sequence_length": 32,
                "min_count": 50,
                "train_tokens": 50_000,
            },
            "model_settings": {"width": 64, "feedforward": 128},
            "learning_rate": 0.002,
            "max_epochs": 2,
            "evaluation": {"test": "every"},
            "selection": {"fraction": 0.3, "select_every": 1},
        }
    )
    first, second = trainable.train(), trainable.train()
    trainable.stop()
    assert second["test_perplexity"] < 0.9 * first["test_perplexity"]
    for report in (first, second):
        assert report["gradient_error"] < report["random_gradient_error"]
