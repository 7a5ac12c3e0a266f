import torch
from ray import tune
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from tune_select import Rules, SubsetSampler, seeded_tuner


def train(config):
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y))
    train_set, val_set = random_split(data, [1500, 297], torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=0.9)
    loss_of = nn.functional.cross_entropy
    sampler = SubsetSampler.from_config(config, train_set, model=model, loss=loss_of)
    for _ in range(config["max_epochs"]):
        for x, y in DataLoader(train_set, batch_size=32, sampler=sampler):
            optimizer.zero_grad()
            loss_of(model(x), y).backward()
            optimizer.step()
        x, y = next(iter(DataLoader(val_set, batch_size=297)))
        accuracy = (model(x).argmax(1) == y).float().mean().item()
        tune.report({"val_accuracy": accuracy, **sampler.report()})


def main(**settings):
    space = {"lr": tune.grid_search([1e-4, 1e-3, 1e-2, 1e-1]), "max_epochs": 6}
    space["selection"] = {"fraction": 0.1, "select_every": 3}
    return seeded_tuner(
        train, space=space, seed_config={"lr": 0.1}, metric="val_accuracy",
        ladder=Rules(2, keep=4, confirm=1), arms=["cached", "full"], **settings,
    ).fit()  # fmt: skip


if __name__ == "__main__":
    print(main().report())
