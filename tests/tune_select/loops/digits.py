"""A small dataset and model, and loops over them as users write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tune_select import SubsetSampler

SIZE, CLASSES = 120, 4


def dataset(seed: int = 0, size: int = SIZE) -> TensorDataset:
    """Points of four classes, with their positions, as exact weighting needs."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (size,), generator=generator)
    inputs = torch.randn(size, 6, generator=generator) + 2 * functional.one_hot(labels, 6)
    return TensorDataset(inputs, labels, torch.arange(size))


def make_model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, CLASSES))


def mean_loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1])


def sampler_for(arm: str, history: Path | None = None, **given: Any) -> SubsetSampler:
    model = given.pop("model", None) or make_model()
    data = given.pop("dataset", None) or dataset()
    return SubsetSampler(
        data,
        **{
            "arm": arm,
            "history": history,
            "epochs": 6,
            "select_every": 2,
            "fraction": 0.2,
            "model": model,
            "loss": mean_loss,
            **given,
        },
    )


def draws(sampler: SubsetSampler, epochs: int = 6) -> list[list[int]]:
    """What each epoch draws, without training."""
    return [list(sampler) for _ in range(epochs)]


def train(
    sampler: SubsetSampler, model: nn.Module, epochs: int, data: Any = None, **loader: Any
) -> list[list[int]]:
    """A plain loop; returns the positions that each epoch trained on."""
    batches = DataLoader(data or dataset(), sampler=sampler, **{"batch_size": 8, **loader})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    for _ in range(epochs):
        model.train()
        positions: list[int] = []
        for batch in batches:
            loss = mean_loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            positions += batch[2].tolist()
        seen.append(positions)
    return seen
