"""A Lightning module of a user's, untouched, trained on subsets by one changed line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from tests.tune_select.loops.digits import SIZE, dataset
from tune_select import SubsetHistory

lightning = pytest.importorskip("lightning")
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning has advice on workers and logging


class Lit(lightning.LightningModule):
    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.lr = lr
        self.model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
        self.trained: list[list[int]] = []

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        loss = functional.cross_entropy(self.model(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        if index == 0:
            self.trained.append([])
        self.trained[-1] += batch[2].tolist()

    def validation_step(self, batch: Any, index: int) -> None:
        right = self.model(batch[0]).argmax(1) == batch[1]
        self.log("val_accuracy", right.float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)


def fit(
    config: dict[str, Any], kind: type[Lit] = Lit, **trainer: Any
) -> tuple[Lit, Any, dict[str, float]]:
    from tune_select.integrations.lightning import SubsetCallback, subset_sampler

    lightning.seed_everything(0, verbose=False)
    lit, train_set = kind(config.get("lr", 0.1)), dataset()
    sampler = subset_sampler(config, train_set, lit, epochs=6)  # the one line
    run = lightning.Trainer(
        max_epochs=6, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
        callbacks=[SubsetCallback(sampler)], **trainer,
    )  # fmt: skip
    run.fit(
        lit,
        DataLoader(train_set, batch_size=8, sampler=sampler),
        DataLoader(dataset(seed=1, size=60), batch_size=60),
    )
    return lit, sampler, {name: float(value) for name, value in run.callback_metrics.items()}


def test_lightning_trains_seed_and_replay_by_one_line(tmp_path: Path) -> None:
    selection = {"select_every": 2, "fraction": 0.2}
    config = {"history": str(tmp_path), "selection": selection}
    seed, _, metrics = fit({**config, "arm": "seed"})
    assert SubsetHistory.load(tmp_path).complete
    # What Tune's own callback would report.
    assert (metrics["history_published"], metrics["history_complete"]) == (3.0, 1.0)
    assert metrics["epoch"] == 6.0
    assert metrics["val_accuracy"] > 0.5
    replay, _, metrics = fit({**config, "arm": "cached", "lr": 0.03})
    assert replay.trained == seed.trained
    assert [len(epoch) for epoch in replay.trained] == [24] * 6
    assert "history_published" not in metrics
    assert "log" not in vars(replay)
    full, _, _ = fit({})
    assert [sorted(epoch) for epoch in full.trained] == [list(range(SIZE))] * 6


def test_the_readmes_lightning_loop_runs(tmp_path: Path) -> None:
    from tests.examples import lightning_loop

    seed, replay = lightning_loop.main(str(tmp_path))
    assert min(seed, replay) > 0.6


def test_a_warm_starts_longer_epochs_do_not_cut_or_stretch_the_others() -> None:
    selection = {"select_every": 2, "fraction": 0.2, "warm_start_epochs": 2}
    lit, sampler, _ = fit({"arm": "random", "selection": selection})
    assert [len(epoch) for epoch in lit.trained] == [SIZE] * 2 + [24] * 4 == sampler.lengths


def test_a_step_without_a_loss_is_named() -> None:
    class Manual(Lit):
        def training_step(self, batch: Any, index: int) -> None:  # type: ignore[override]
            return None

    from tune_select.integrations.lightning import subset_sampler

    sampler = subset_sampler({"arm": "gradmatch"}, dataset(), Manual(), epochs=30)
    with pytest.raises(ValueError, match=r"Manual\.training_step returned no loss"):
        iter(sampler)


def test_a_step_of_the_batch_alone_is_one_too() -> None:
    from tune_select.integrations.lightning import training_loss

    class Short(Lit):
        def training_step(self, batch: Any) -> torch.Tensor:  # type: ignore[override]
            return super().training_step(batch, 0)

    class Open(Lit):
        def training_step(self, *given: Any) -> torch.Tensor:  # type: ignore[override]
            return super().training_step(*given)

    batch = next(iter(DataLoader(dataset(), batch_size=8)))
    for module in (Short(), Open()):
        assert torch.isfinite(training_loss(module)(batch))


def test_what_the_step_collects_for_the_end_of_the_epoch_holds_no_looks_of_a_selection() -> None:
    counted: list[int] = []

    class Collects(Lit):
        def __init__(self, lr: float = 0.1) -> None:
            super().__init__(lr)
            self.outputs: list[torch.Tensor] = []

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            loss = super().training_step(batch, index)
            self.outputs.append(loss.detach())
            return loss

        def on_train_epoch_end(self) -> None:
            counted.append(len(self.outputs))
            self.outputs.clear()

    selection = {"select_every": 2, "fraction": 0.2}
    fit({"arm": "gradmatch", "selection": selection}, Collects)
    assert counted == [3] * 6, "24 examples in batches of 8"
