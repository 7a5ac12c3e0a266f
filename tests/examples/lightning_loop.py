import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from tune_select.integrations.lightning import subset_sampler


class Digits(lightning.LightningModule):
    def __init__(self, lr):
        super().__init__()
        self.lr = lr
        self.model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

    def training_step(self, batch, index):
        return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch, index):
        right = self.model(batch[0]).argmax(1) == batch[1]
        self.log("val_accuracy", right.float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)


def train(config):
    lightning.seed_everything(0, verbose=False)
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y))
    train_set, val_set = random_split(data, [1500, 297], torch.Generator().manual_seed(0))
    module = Digits(config["lr"])
    sampler = subset_sampler(config, train_set, module)  # added; the loader's shuffle=True goes
    trainer = lightning.Trainer(
        max_epochs=config["max_epochs"], accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(
        module,
        DataLoader(train_set, batch_size=32, sampler=sampler),
        DataLoader(val_set, batch_size=297),
    )
    return trainer.callback_metrics["val_accuracy"].item()


def main(history="history"):
    config = {"history": history, "max_epochs": 8, "selection": {"select_every": 4}}
    trials = [{"arm": "seed", "lr": 0.1}, {"arm": "cached", "lr": 0.03}]
    return [train({**config, **trial}) for trial in trials]


if __name__ == "__main__":
    print(main())
