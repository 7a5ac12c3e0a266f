"""What needs little works where little is installed; of the report, see ``test_ray_folder``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.absent import run_without

HEAVY = ("ray", "mlflow", "torchvision", "pycocotools", "optuna", "matplotlib", "pandas", "scipy",
         "sklearn", "trainables", "analysis")  # fmt: skip

LOOP = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tune_select import SubsetHistory, SubsetSampler, collect_signals
from tune_select.selection import GradMatch, PerClass

generator = torch.Generator().manual_seed(0)
x = torch.randn(60, 5, generator=generator)
data = TensorDataset(x, (x[:, 0] > 0).long())
model = nn.Linear(5, 2)
loss = nn.functional.cross_entropy

signals = collect_signals(model, DataLoader(data, batch_size=16), loss)
subset = PerClass(GradMatch()).select(signals, 12, generator)
assert len(subset) == 12 and bool((subset.weights >= 0).all())

def drawn(arm):
    config = {"arm": arm, "history": sys.argv[1], "max_epochs": 2,
              "selection": {"fraction": 0.2, "select_every": 1}}
    sampler = SubsetSampler.from_config(config, data, model=model, loss=loss)
    return [sorted(set(sampler)) for _ in range(2)]

drawn("seed")
assert all(len(epoch) <= 12 for epoch in drawn("cached"))
history = SubsetHistory.load(sys.argv[1])
assert history.complete and len(history.intervals) == 2
print(*sorted({name.split(".")[0] for name in sys.modules} & set(ABSENT)))
"""


def test_selection_histories_and_the_sampler_need_torch_and_pyarrow_alone(tmp_path: Path) -> None:
    assert run_without(HEAVY, LOOP, tmp_path / "history").strip() == ""


THREADS = """
import os

from tune_select import SubsetHistory

before = len(os.listdir("/proc/self/task"))
assert SubsetHistory.load(sys.argv[1]).complete
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_reading_a_history_starts_no_thread(tmp_path: Path) -> None:
    """One of Arrow's that gives the bytes back while the interpreter ends aborts the process."""
    run_without(HEAVY, LOOP, tmp_path / "history")
    assert run_without(HEAVY, THREADS, tmp_path / "history").strip() == "0"
