"""Language modelling: mean cross-entropy of a sequence's tokens, and perplexity."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.data.corpora import Corpus
from trainables.tasks.evaluation import split_means
from trainables.tasks.task import Batch, Split, Task
from tune_select.selection.heads.gradients import SKETCH_SIZE
from tune_select.selection.heads.precision import double

# Logits held at once where nothing is learned from them: 64 MiB in float32, 512 MiB on a GPU.
_EVAL_LOGITS = {"cpu": 2**24, "cuda": 2**27}
DEFAULT_SKETCH_SIZE = SKETCH_SIZE


class LanguageModelTask(Task):
    """Mean cross-entropy over the T predicted tokens of each sequence.

    The last-layer gradient of a sequence is a sum of T outer products and does not factorise.
    Whole-dataset selectors are given vectors z with <z_i, z_j> = <g_i, g_j>: the gradient itself
    where it has at most ``sketch_size`` entries, else its TensorSketch, for which that holds in
    expectation, with a standard deviation of at most sqrt(11 / sketch_size) ||g_i|| ||g_j||. Inside
    the mini-batch, selectors are given h (M, T, D) and p (M, T, C), and inner products are exact.
    """

    metric: ClassVar[str] = "perplexity"
    mode: ClassVar[Literal["min", "max"]] = "min"

    def __init__(
        self,
        model: nn.Module,
        corpus: Corpus,
        device: torch.device | str = "cpu",
        *,
        sketch_size: int = DEFAULT_SKETCH_SIZE,
        sketch_seed: int = 0,
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device)
        self.dataset = corpus.identity
        self._length = corpus.sequence_length
        self._streams = {
            "train": corpus.train,
            "validation": corpus.validation,
            "test": corpus.test,
        }
        self._sizes = {name: corpus.sequences(stream) for name, stream in self._streams.items()}
        self.labels = torch.zeros(self._sizes["train"], dtype=torch.int64)
        logits = _EVAL_LOGITS.get(self.device.type, _EVAL_LOGITS["cpu"])
        self.eval_batch_size = max(1, logits // (self._length * corpus.vocabulary_size))
        self.sketch_size, self.sketch_seed = sketch_size, sketch_seed

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        """Tokens (B, T) and the tokens (B, T) that follow them; text is not augmented."""
        within = np.arange(self._length + 1)
        tokens = self._streams[split][indices.numpy()[:, None] * self._length + within]
        moved = torch.from_numpy(tokens).to(self.device, torch.int64)
        return Batch(indices, moved[:, :-1], moved[:, 1:])

    def losses(self, batch: Batch) -> Tensor:
        """Mean cross-entropy of each sequence."""
        logits = self.model(batch.inputs)
        losses = functional.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), reduction="none"
        )
        return losses.view(batch.targets.shape).mean(1)

    def evaluate(self, split: Split) -> dict[str, float]:
        """Mean cross-entropy per token in nats, and its exponential."""
        means = split_means(self, split, lambda batch: double(self.losses(batch)).sum()[None])
        if not means:
            return {}
        (loss,) = means
        # A diverged model's perplexity is infinite, not an OverflowError.
        return {"loss": loss, "perplexity": math.exp(loss) if loss < 700 else math.inf}

    def split_labels(self, split: Split) -> Tensor:
        """Zeros: sequences have no classes."""
        return torch.zeros(self._sizes[split], dtype=torch.int64)
