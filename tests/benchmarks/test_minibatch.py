"""What selection inside the mini-batch costs beside the passes it cannot do without.

All sides of a comparison take turns in one process. Seconds are CPU seconds of one thread, which a
busy machine distorts least, and the median over turns counts; on a GPU (``-m gpu``) they are
wall-clock seconds with the device synchronised.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from sklearn.linear_model import orthogonal_mp_gram
from torch import Tensor, nn
from torch.nn import functional

from trainables.arms.minibatch_stage import MiniBatchSelection
from trainables.arms.selection_pass import SelectionPass
from trainables.arms.stage_settings import StageSettings
from trainables.loop.clock import PhaseClock
from trainables.loop.optim import make_optimizer, make_schedule
from trainables.loop.sources import Full
from trainables.loop.training_loop import TrainingLoop
from trainables.models import build_model
from trainables.settings.trial import parse_settings
from trainables.tasks.task import Batch, Split, Task
from tune_select.history import DatasetIdentity
from tune_select.selection.minibatch import (
    BatchSignals,
    MiniBatchSelector,
    gram_omp,
    selector_named,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SIZE, BATCH, KEPT = 1280, 128, 43  # examples, M and m = M / 3
FOUR = {"pool": ["big_loss", "small_loss", "uniform", "coreset1"]}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Pictures(Task):
    """Random pictures of CIFAR's size and a small convolutional network; nothing to evaluate."""

    def __init__(self, device: str = "cpu", model: str = "small_cnn") -> None:
        torch.manual_seed(0)
        self.device = torch.device(device)
        self.model: nn.Module = build_model(model, 10, 3, 32).to(device)
        self.labels = torch.randint(10, (SIZE,))
        self.dataset = DatasetIdentity("pictures", SIZE, "0" * 16)
        self._targets = self.labels.to(device)
        self._pictures = torch.randn(SIZE, 3, 32, 32, device=device)

    def batch(
        self, indices: Tensor, *, split: Split = "train", generator: torch.Generator | None = None
    ) -> Batch:
        where = indices.to(self.device, non_blocking=True)
        return Batch(indices, self._pictures[where], self._targets[where])

    def losses(self, batch: Batch) -> Tensor:
        return functional.cross_entropy(self.model(batch.inputs), batch.targets, reduction="none")

    def evaluate(self, split: Split) -> dict[str, float]:
        return {}

    def head(self) -> nn.Linear:
        linear = [m for m in self.model.modules() if isinstance(m, nn.Linear)][-1]
        return linear


def seconds(work: Callable[[], object], device: torch.device | None = None) -> float:
    """Of one call: CPU seconds on a CPU, wall-clock seconds on a GPU."""
    if device is None or device.type == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def in_turns(
    works: dict[str, Callable[[], object]], turns: int, device: torch.device | None = None
) -> dict[str, float]:
    """Median seconds of each; one unmeasured call before."""
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns):
        order = list(works) if turn % 2 else list(works)[::-1]
        for name in order:
            taken[name].append(seconds(works[name], device))
    return {name: statistics.median(values) for name, values in taken.items()}


def stage_for(task: Task, selector: MiniBatchSelector) -> MiniBatchSelection:
    settings, clock = StageSettings(keep=KEPT / BATCH), PhaseClock(task.device)
    return MiniBatchSelection(selector, settings, task, clock, batch_size=BATCH, max_epochs=1)


def optimizer_of(task: Task) -> torch.optim.Optimizer:
    return torch.optim.SGD(task.model.parameters(), 0.01, 0.9)


def step(task: Task, optimizer: torch.optim.Optimizer, batch: Batch, weights: Tensor) -> None:
    losses = task.losses(batch)
    loss = (losses * weights).sum() / weights.sum()
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimizer.step()


class Replayed:
    """Stands in for a selection pass: hands out signals collected before, at no cost."""

    def __init__(self, task: Task) -> None:
        task.model.train()
        measure = SelectionPass(gradients=True)
        self._signals = [measure(task, task.batch(part)) for part in cut()]
        self._calls = 0

    def __call__(self, task: Task, batch: Batch) -> BatchSignals:
        self._calls += 1
        signals = self._signals[self._calls % len(self._signals)]
        return replace(signals, indices=batch.indices)


def cut() -> list[Tensor]:
    return list(torch.arange(SIZE).split(BATCH))


def epochs_of(task: Task, selectors: dict[str, Any], *, passes: bool) -> dict[str, Any]:
    """Epochs of stage and steps by selector name, with real or replayed selection passes."""
    optimizer = optimizer_of(task)

    def epoch_of(stage: MiniBatchSelection) -> Callable[[], None]:
        def epoch() -> None:
            for batch, weights in stage.weighted_batches(
                task,
                [(part, None) for part in cut()],
                epoch=0,
                generator=torch.Generator().manual_seed(0),
                augmentation=torch.Generator(task.device),
            ):
                assert weights is not None
                step(task, optimizer, batch, weights)

        return epoch

    works = {}
    for name, settings in selectors.items():
        stage = stage_for(task, selector_named(name, **settings))
        if not passes:
            stage._pass = Replayed(task)  # type: ignore[assignment]
        works[name] = epoch_of(stage)
    return works


def report(title: str, **values: float) -> None:
    print(f"\n{title}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))


def test_bookkeeping_of_selective_backprop() -> None:
    """Percentiles, draws, gathering: at most 3% of the training they belong to, passes left out."""
    task = Pictures()
    optimizer = optimizer_of(task)
    stage = stage_for(task, selector_named("selective_backprop", beta=2))
    stage._pass = Replayed(task)  # type: ignore[assignment]

    def choose() -> list[Batch]:
        chosen = []
        for epoch in range(3):
            candidates = [(part, None) for part in cut()]
            draws, none = torch.Generator().manual_seed(epoch), torch.Generator()
            chosen += [
                batch
                for batch, _ in stage.weighted_batches(
                    task, candidates, epoch=epoch, generator=draws, augmentation=none
                )
            ]
        return chosen

    def make() -> list[Batch]:
        return [task.batch(part) for _ in range(3) for part in cut()]

    chosen, ones = choose(), torch.ones(BATCH)

    def train() -> None:
        for batch in chosen:
            step(task, optimizer, batch, ones)

    taken = in_turns({"choose": choose, "make": make, "train": train}, 9)
    share = (taken["choose"] - taken["make"]) / (taken["make"] + taken["train"])
    report("bookkeeping of Selective-Backprop over training", share=share, **taken)
    assert share <= 0.03


def test_gradient_matching_against_selective_backprop() -> None:
    """At most 5% above, without the selection passes and with them."""
    task = Pictures()
    names: dict[str, Any] = {"selective_backprop_fixed": {}, "gradient_matching": {}}
    for passes in (False, True):
        taken = in_turns(epochs_of(task, names, passes=passes), 9)
        ratio = taken["gradient_matching"] / taken["selective_backprop_fixed"]
        report(f"gradient matching over Selective-Backprop, passes={passes}", ratio=ratio, **taken)
        assert ratio <= 1.05


def test_ada_selection_against_big_loss() -> None:
    """Four candidates: at most 5% above, without the selection passes."""
    task = Pictures()
    names: dict[str, Any] = {"big_loss": {}, "ada_selection": FOUR}
    taken = in_turns(epochs_of(task, names, passes=False), 9)
    ratio = taken["ada_selection"] / taken["big_loss"]
    report("AdaSelection with four candidates over Big Loss", ratio=ratio, **taken)
    assert ratio <= 1.05


@pytest.mark.parametrize("arm", ["big_loss", "selective_backprop_fixed", "gradient_matching"])
def test_an_epoch_against_its_own_limit(arm: str) -> None:
    """Keeping a third, through the training loop: at most 1.1 times the bare passes it needs."""
    check_limit(Pictures(), arm, turns=9)


@pytest.mark.gpu
@pytest.mark.parametrize("arm", ["big_loss", "selective_backprop_fixed", "gradient_matching"])
def test_an_epoch_against_its_own_limit_on_a_gpu(arm: str) -> None:
    check_limit(Pictures("cuda", "resnet18"), arm, turns=9)


def check_limit(task: Task, arm: str, turns: int) -> None:
    settings = parse_settings(
        {"arm": arm, "batch_size": BATCH, "max_epochs": 10_000, "schedule": "constant",
         "selection": {"fraction": KEPT / BATCH}}
    )  # fmt: skip
    clock = PhaseClock(task.device)
    loop = TrainingLoop(
        task,
        Full(),
        make_optimizer(task, settings),
        make_schedule(settings, 10_000),
        settings,
        epochs=10_000,
        clock=clock,
        stage=MiniBatchSelection(
            selector_named(arm),
            StageSettings(keep=KEPT / BATCH),
            task,
            clock,
            batch_size=BATCH,
            max_epochs=10_000,
        ),
    )
    optimizer, kept = optimizer_of(task), torch.ones(KEPT, device=task.device)
    everything = torch.ones(BATCH, device=task.device)

    def limit() -> None:
        task.model.train()
        for part in cut():
            batch = task.batch(part)
            with torch.no_grad():
                task.losses(batch)
            some = Batch(part[:KEPT], batch.inputs[:KEPT], batch.targets[:KEPT])
            step(task, optimizer, some, kept)

    def full() -> None:
        for part in cut():
            step(task, optimizer, task.batch(part), everything)

    taken = in_turns({"ours": loop.run_epoch, "limit": limit, "full": full}, turns, task.device)
    ratio = taken["ours"] / taken["limit"]
    speed_up, possible = taken["full"] / taken["ours"], taken["full"] / taken["limit"]
    report(f"{arm} over forward M and train m", ratio=ratio, speed_up=speed_up, possible=possible)
    assert ratio <= 1.1


@pytest.mark.parametrize("kept", [13, 32, 43, 64])
def test_gram_omp_against_scikit_learn(kept: int) -> None:
    """A batch of 16 problems of 128 atoms; faster from m = 32 on."""
    generator = torch.Generator().manual_seed(0)
    atoms = torch.rand(16, 600, 128, generator=generator, dtype=torch.float64)
    gram = atoms.mT @ atoms
    target = gram.mean(2)
    arrays = [(matrix.numpy(), vector.numpy()) for matrix, vector in zip(gram, target, strict=True)]

    def theirs() -> None:
        for matrix, vector in arrays:
            orthogonal_mp_gram(matrix, vector, n_nonzero_coefs=kept)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of near-dependent atoms
        taken = in_turns({"ours": lambda: gram_omp(gram, target, kept), "theirs": theirs}, 9)
    ratio = taken["theirs"] / taken["ours"]
    report(f"scikit-learn over Gram OMP, m={kept}", ratio=ratio, **taken)
    assert ratio > 1 or kept < 32
