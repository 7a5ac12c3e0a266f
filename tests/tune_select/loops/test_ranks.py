"""Two processes that train one model over gloo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.utils.data import DistributedSampler

from tests.tune_select.loops.digits import SIZE, dataset, draws, make_model, sampler_for
from tune_select import SubsetHistory, SubsetSampler

EPOCHS = 4


class Listed:
    """What Lightning wraps a sampler in, to share it out."""

    def __init__(self, sampler: SubsetSampler) -> None:
        self.sampler, self.order = sampler, list(range(len(sampler)))

    def __len__(self) -> int:
        return len(self.sampler)


def wrapped_draws(sampler: SubsetSampler) -> list[list[int]]:
    epochs = []
    for epoch in range(EPOCHS):
        shares = DistributedSampler(Listed(sampler), shuffle=False)
        shares.set_epoch(epoch)
        order = list(sampler)
        epochs.append([order[i] for i in shares])
    return epochs


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found: dict[str, Any] = {}
    settings: dict[str, Any] = {"epochs": EPOCHS, "weights": "ignore", "distributed": True}
    # Rank 1's model has drifted: it must train on rank 0's subset all the same.
    seed = sampler_for("seed", Path(folder) / "history", model=make_model(rank), **settings)
    found["lengths"] = len(seed)
    found["seed"] = draws(seed, EPOCHS)
    found["report"] = {k: v for k, v in seed.report().items() if k.startswith("history")}
    dist.barrier()
    found["cached"] = draws(sampler_for("cached", Path(folder) / "history", **settings), EPOCHS)
    found["full"] = draws(SubsetSampler(dataset(), epochs=1, distributed=True), 1)
    model = make_model(rank)
    plain = sampler_for("gradmatch", model=model, epochs=EPOCHS, weights="ignore")
    found["wrapped"] = wrapped_draws(plain)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_two_processes_share_each_epochs_subset(tmp_path: Path) -> None:
    mp.start_processes(work, args=(str(tmp_path),), nprocs=2, start_method="fork")
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    history = SubsetHistory.load(tmp_path / "history")
    assert history.complete
    assert first["report"] == second["report"] == {
        "history_published": 2, "history_complete": True,
    }  # fmt: skip
    assert first["lengths"] == second["lengths"] == 12
    for arm in ("seed", "cached"):
        for epoch in range(EPOCHS):
            mine, theirs = set(first[arm][epoch]), set(second[arm][epoch])
            assert len(mine) == len(theirs) == 12
            assert mine | theirs == set(history.intervals[epoch // 2].indices.tolist())
    assert first["seed"] == first["cached"]
    assert sorted(first["full"][0] + second["full"][0]) == list(range(SIZE))
    for mine, theirs in zip(first["wrapped"], second["wrapped"], strict=True):
        assert len(set(mine) | set(theirs)) == len(mine) + len(theirs) == 24
