import torch
from ray import tune
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from tune_select import SubsetSampler, seeded_tuner


def train(config):
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y))
    train_set, val_set = random_split(data, [1500, 297], torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    loss_of = nn.functional.cross_entropy
    sampler = SubsetSampler.from_config(config, train_set, model=model, loss=loss_of)  # added
    loader = DataLoader(train_set, batch_size=32, sampler=sampler)  # changed
    for _ in range(config["max_epochs"]):
        for x, y in loader:
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            x, y = next(iter(DataLoader(val_set, batch_size=297)))
            accuracy = (model(x).argmax(1) == y).float().mean().item()
        tune.report({"val_accuracy": accuracy, **sampler.report()})  # changed


def main(**settings):
    return seeded_tuner(
        train,
        space={
            "lr": tune.grid_search([0.01, 0.1]),
            "max_epochs": 8,
            "selection": {"select_every": 4},
        },
        seed_config={"lr": 0.1},
        arms=["cached", "random"],
        metric="val_accuracy",
        **settings,
    ).fit()


if __name__ == "__main__":
    results = main()
    print(results.best().config["lr"], results.report())
