"""A training function of one's own with seed and replay: three lines more than without."""

from __future__ import annotations

from typing import Any

import torch
from ray import tune
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from tune_select import SubsetSampler, seeded_tuner


def make_data() -> Any:
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y))
    return random_split(data, [1500, len(data) - 1500], torch.Generator().manual_seed(0))


def train(config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    train_set, val_set = make_data()
    hidden = config["hidden"]
    model = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    loss_of = nn.functional.cross_entropy
    sampler = SubsetSampler.from_config(config, train_set, model=model, loss=loss_of)
    loader = DataLoader(train_set, batch_size=32, sampler=sampler)
    for _ in range(config["max_epochs"]):
        model.train()
        for x, y in loader:
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            x, y = next(iter(DataLoader(val_set, batch_size=len(val_set))))
            accuracy = (model(x).argmax(1) == y).float().mean().item()
        tune.report({"val_accuracy": accuracy, **sampler.report()})


def main(storage_path: str = "results", **settings: Any) -> Any:
    return seeded_tuner(
        train,
        space={
            "lr": tune.grid_search([0.01, 0.1]),
            "hidden": 32,
            "max_epochs": 8,
            "selection": {"select_every": 4},
        },
        seed_config={"lr": 0.1},
        arms=["cached", "random"],
        metric="val_accuracy",
        storage_path=storage_path,
        **settings,
    ).fit()


if __name__ == "__main__":
    results = main()
    print(results.best().config, results.report())
