"""A loop under Accelerate on subsets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from tests.tune_select.loops.digits import dataset, make_model, mean_loss
from tune_select import SubsetHistory

accelerate = pytest.importorskip("accelerate")
pytestmark = pytest.mark.filterwarnings("ignore")


def train(history: Path, arm: str) -> list[list[int]]:
    from tune_select.integrations.accelerate import subset_sampler

    accelerator = accelerate.Accelerator(cpu=True)
    model = make_model()
    config = {"arm": arm, "history": str(history), "max_epochs": 4, "selection": {
        "select_every": 2, "fraction": 0.2}}  # fmt: skip
    sampler = subset_sampler(
        config, dataset(), accelerator=accelerator, model=model, loss=mean_loss
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(dataset(), batch_size=8, sampler=sampler)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    seen = []
    for _ in range(4):
        seen.append([])
        for batch in loader:
            with accelerator.accumulate(model):
                accelerator.backward(mean_loss(model, batch))
                optimizer.step()
                optimizer.zero_grad()
            seen[-1] += batch[2].tolist()
    return seen


def test_accelerate_trains_seed_and_replay(tmp_path: Path) -> None:
    seed = train(tmp_path, "seed")
    assert [len(epoch) for epoch in seed] == [24] * 4
    assert SubsetHistory.load(tmp_path).complete
    assert train(tmp_path, "cached") == seed
