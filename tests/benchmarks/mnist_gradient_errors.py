"""Gradient errors of the selectors on real MNIST, as in Table 8 of Killamsetty et al. 2021.

``TUNE_SELECT_DATA=... python -m tests.benchmarks.mnist_gradient_errors [--seeds 3]``

LeNet is trained on random tenths, redrawn every five epochs; at some epochs every selector chooses
from the same gradients of the 54,000 training examples. Two errors are averaged over epochs and
seeds: that of the weighted mean, which is what training applies (``gradient_error``), and the
paper's, of the weighted sum with weights that sum to what the solver says (here: as a share of the
length of the full gradient, at the best common scale of the weights).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings

import torch
from torch import Tensor, nn
from torchvision.datasets import MNIST

from tune_select.selection import Selector, Signals, Subset, gradient_sum, selector_named

FRACTIONS = (0.01, 0.03, 0.05, 0.1)
EPOCHS = (0, 1, 5, 10, 20)
SELECTORS: dict[str, Selector] = {
    "Random": selector_named("random"),
    "RandomPB": selector_named("random_pb", batch_size=20),
    "CRAIG": selector_named("craig"),
    "CRAIGPB": selector_named("craig_pb", batch_size=20),
    "GLISTER": selector_named("glister"),
    "GradMatch, mass 0": selector_named("gradmatch", mass=0.0),
    "GradMatch": selector_named("gradmatch"),
    "GradMatch, layer": selector_named("gradmatch_whole"),
    "GradMatchPB, mass 0": selector_named("gradmatch_pb", mass=0.0, batch_size=20),
    "GradMatchPB": selector_named("gradmatch_pb", batch_size=20),
}


class LeNet(nn.Module):
    """LeNet-5 with rectifiers and max pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(84, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.body(images))


def signals_of(model: LeNet, images: Tensor, labels: Tensor) -> Signals:
    """Last-layer inputs and output gradients."""
    with torch.no_grad():
        inputs = torch.cat([model.body(part) for part in images.split(2000)])
        outputs = model.head(inputs).softmax(1) - nn.functional.one_hot(labels, 10)
    return Signals(labels, inputs, outputs)


def errors(signals: Signals, subset: Subset) -> tuple[float, float]:
    """Relative errors of the weighted mean and of the weighted sum at its best scale."""
    full = gradient_sum(signals) / len(signals)
    chosen = gradient_sum(signals, subset.weights, subset.indices) / len(subset)
    scale = float((chosen * full).sum() / chosen.square().sum())
    size = float(full.norm())
    return float((chosen - full).norm()) / size, float((scale * chosen - full).norm()) / size


def run(seed: int, table: dict[tuple[str, float], list[tuple[float, float, float]]]) -> None:
    """Train once and add every selector's errors and seconds to the table."""
    data = MNIST(os.environ["TUNE_SELECT_DATA"], train=True)
    images = (data.data.float()[:, None] / 255 - 0.1307) / 0.3081
    order = torch.randperm(60000, generator=torch.Generator().manual_seed(seed))
    images, labels = images[order], data.targets[order]
    torch.manual_seed(seed)
    model = LeNet()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    for epoch in range(max(EPOCHS) + 1):
        if epoch in EPOCHS:
            signals = signals_of(model, images[:54000], labels[:54000])
            held_out = signals_of(model, images[54000:], labels[54000:])
            signals = signals.with_validation(held_out)
            for fraction in FRACTIONS:
                for name, selector in SELECTORS.items():
                    generator = torch.Generator().manual_seed(epoch)
                    start = time.process_time()
                    subset = selector.select(signals, round(54000 * fraction), generator)
                    seconds = time.process_time() - start
                    table.setdefault((name, fraction), []).append(
                        (*errors(signals, subset), seconds)
                    )
            print(f"seed {seed}, epoch {epoch} of {max(EPOCHS)}", file=sys.stderr, flush=True)
        if epoch % 5 == 0:
            tenth = torch.randperm(54000)[:5400]
        for batch in tenth[torch.randperm(5400)].split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")
    table: dict[tuple[str, float], list[tuple[float, float, float]]] = {}
    for seed in range(seeds):
        run(seed, table)
    head = "".join(f"{f:>22.0%}" for f in FRACTIONS)
    print(f"mean over {seeds} seeds and epochs {EPOCHS}: weighted mean | best scale")
    print(f"{'':22s}{head}{'CPU s':>10s}")
    for name in SELECTORS:
        cells = ""
        for fraction in FRACTIONS:
            rows = table[name, fraction]
            first, second = (statistics.mean(row[i] for row in rows) for i in (0, 1))
            cells += f"{first:>13.3f} | {second:.3f} "
        seconds = statistics.mean(row[2] for row in table[name, FRACTIONS[-1]])
        print(f"{name:22s}{cells}{seconds:>8.2f}")


if __name__ == "__main__":
    main()
