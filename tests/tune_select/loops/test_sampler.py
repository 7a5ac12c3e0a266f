"""The sampler under a plain loop."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from tests.tune_select.loops.digits import (
    SIZE,
    dataset,
    draws,
    make_model,
    mean_loss,
    sampler_for,
    train,
)
from tune_select import SubsetHistory, SubsetSampler
from tune_select.history import (
    HistoryConflictError,
    HistoryMismatchError,
    HistoryUnavailableError,
)
from tune_select.selection import selector_named


def test_a_seed_publishes_and_others_replay_what_it_trained_on(tmp_path: Path) -> None:
    model = make_model()
    seed = sampler_for("seed", tmp_path, model=model)
    trained = train(seed, model, 6)
    report = seed.report()
    assert (report["history_published"], report["history_complete"]) == (3, True)
    assert (report["epoch"], report["subset_size"], report["examples_seen"]) == (6, 24, 144)
    history = SubsetHistory.load(tmp_path)
    assert history.complete
    assert [(i.start, i.end) for i in history.intervals] == [(0, 2), (2, 4), (4, 6)]
    for interval in history.intervals:
        assert interval.gradient_error is not None
        assert interval.random_gradient_error is not None
        assert interval.gradient_error < interval.random_gradient_error
    # Another configuration draws the same examples in the same order.
    replay = sampler_for("cached", tmp_path, model=None, loss=None)
    assert train(replay, make_model(3), 6) == trained
    assert "history_published" not in replay.report()
    assert replay.report()["waiting_for_interval"] == -1


def test_a_seed_publishes_for_all_rungs_of_a_ladder(tmp_path: Path) -> None:
    model = make_model()
    seed = sampler_for("seed", tmp_path, model=model, rungs=[0.05, 0.5])
    train(seed, model, 6)
    history = SubsetHistory.load(tmp_path)
    assert history.identity.fractions == (0.05, 0.2, 0.5)
    for fraction in history.identity.fractions:
        replay = sampler_for("cached", tmp_path, model=None, loss=None, fraction=fraction,
                             weights="ignore")  # fmt: skip
        subset = history.rung(fraction).intervals[0]
        assert sorted(replay) == sorted(subset.indices.tolist())
    with pytest.raises(HistoryMismatchError, match="fraction: trial 0.3, history 0.05, 0.2, 0.5"):
        sampler_for("cached", tmp_path, model=None, loss=None, fraction=0.3)
    with pytest.raises(ValueError, match="rungs must be fractions in .0, 1., got 2"):
        sampler_for("seed", tmp_path / "x", model=model, rungs=[2])


def test_full_training_draws_everything_in_another_order_each_epoch() -> None:
    epochs = draws(SubsetSampler(dataset(), epochs=3), 3)
    assert all(sorted(epoch) == list(range(SIZE)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert draws(SubsetSampler(dataset(), epochs=3), 3) == epochs
    assert draws(SubsetSampler(dataset(), epochs=3, seed=1), 3) != epochs


@pytest.mark.parametrize("arm", ["random", "gradmatch", "craig", "random_stratified", "glister"])
def test_any_selector_is_an_arm(arm: str) -> None:
    sampler = sampler_for(arm, validation=dataset(1, 30), weights="ignore")
    epochs = draws(sampler)
    assert all(len(set(epoch)) == 24 for epoch in epochs)
    assert set(epochs[0]) == set(epochs[1])
    assert sampler.report()["subset_size"] == 24
    if arm == "random_stratified":
        counts = torch.bincount(dataset().tensors[1][epochs[0]])
        assert int((counts - 0.2 * torch.bincount(dataset().tensors[1])).abs().max()) <= 1


def test_selectors_of_whole_batches_keep_them() -> None:
    sampler = sampler_for("random_pb", settings={"batch_size": 8})
    batches = list(DataLoader(dataset(), batch_size=8, sampler=sampler))
    (other,) = [list(DataLoader(dataset(), batch_size=8, sampler=sampler))]
    assert {frozenset(b[2].tolist()) for b in batches} == {frozenset(b[2].tolist()) for b in other}


def test_a_warm_start_draws_everything_and_lengths_say_what_is_next(tmp_path: Path) -> None:
    sampler = sampler_for("seed", tmp_path, warm_start_epochs=2)
    lengths, drawn = [], []
    for _ in range(6):
        lengths.append(len(sampler))
        drawn.append(len(list(sampler)))
    assert lengths == drawn == [SIZE, SIZE, 24, 24, 24, 24]
    assert SubsetHistory.load(tmp_path).identity.warm_start_epochs == 2
    replay = sampler_for("cached", tmp_path, warm_start_epochs=2)
    assert [len(epoch) for epoch in draws(replay)] == lengths


def test_the_first_subset_may_be_random(tmp_path: Path) -> None:
    sampler = sampler_for("gradmatch", first_subset="random", weights="ignore")
    epochs, random = draws(sampler), draws(sampler_for("random", weights="ignore"))
    assert set(epochs[0]) == set(random[0])  # the first interval's
    assert set(epochs[2]) != set(random[2])
    config = {"arm": "gradmatch", "max_epochs": 6, "selection": {
        "fraction": 0.2, "select_every": 2, "first_subset": "random"}}  # fmt: skip
    own = {"model": make_model(), "loss": mean_loss, "weights": "ignore"}
    from_config = SubsetSampler.from_config(config, dataset(), **own)
    assert draws(from_config, 1)[0] == epochs[0]


def test_a_history_stretches_over_a_loop_of_another_length(tmp_path: Path) -> None:
    intervals = [set(epoch) for epoch in draws(sampler_for("seed", tmp_path, weights="ignore"))]
    short = sampler_for("cached", tmp_path, epochs=3, align="progress", weights="ignore")
    assert [set(epoch) for epoch in draws(short, 3)] == intervals[::2]


def test_a_transformed_replay_is_drawn_alike_by_all(tmp_path: Path) -> None:
    plain = draws(sampler_for("seed", tmp_path, weights="ignore"))
    settings = {"random_share": 0.5}
    mixed = [
        draws(sampler_for("cached_mixed", tmp_path, weights="ignore", settings=settings))
        for _ in range(2)
    ]
    assert mixed[0] == mixed[1]
    assert 0 < len(set(mixed[0][0]) & set(plain[0])) < 24


# Weights.


def test_the_mean_loss_over_resampled_draws_is_the_weighted_mean(tmp_path: Path) -> None:
    times = {"epochs": 300, "select_every": 300}
    iter(sampler_for("seed", tmp_path, **times))
    interval = SubsetHistory.load(tmp_path).intervals[0]
    values = torch.rand(SIZE, generator=torch.Generator().manual_seed(0))
    sampler = sampler_for("cached", tmp_path, **times)
    means = [values[epoch].mean() for epoch in draws(sampler, 300)]
    exact = (values[torch.tensor(interval.indices)] * torch.tensor(interval.weights)).mean()
    assert abs(float(torch.stack(means).mean() - exact)) < 0.01
    assert interval.weights.std() > 0.1


def test_exact_weights_can_be_looked_up(tmp_path: Path) -> None:
    draws(sampler_for("seed", tmp_path))
    interval = SubsetHistory.load(tmp_path).intervals[0]
    sampler = sampler_for("cached", tmp_path, weights="lookup")
    total, count = 0.0, 0
    for batch in DataLoader(dataset(), batch_size=5, sampler=sampler):
        weights = sampler.weights_of(batch[2])
        wanted = dict(zip(interval.indices.tolist(), interval.weights.tolist(), strict=True))
        assert weights.tolist() == [wanted[i] for i in batch[2].tolist()]
        total, count = total + float(weights.sum()), count + len(weights)
    assert total / count == pytest.approx(1.0)
    outside = next(i for i in range(SIZE) if i not in wanted)
    with pytest.raises(ValueError, match=rf"examples \[{outside}\] are not in the subset"):
        sampler.weights_of([outside])
    full = SubsetSampler(dataset(), epochs=1, weights="lookup")
    list(full)
    assert full.weights_of([0, 5]).tolist() == [1.0, 1.0]


# Interruptions.


def rest_of(sampler: SubsetSampler, loader: Any, begun: list[int]) -> list[int]:
    return begun + [i for batch in loader for i in batch[2].tolist()]


@pytest.mark.parametrize(
    ("arm", "workers"), [("full", 0), ("gradmatch", 0), ("cached", 0), ("gradmatch", 2)]
)
def test_a_loop_goes_on_in_the_middle_of_an_epoch(arm: str, workers: int, tmp_path: Path) -> None:
    draws(sampler_for("seed", tmp_path))
    settings: dict[str, Any] = {"batch_size": 5, "num_workers": workers}
    sampler = sampler_for(arm, tmp_path)
    whole = [[i for b in sampler.loader(**settings) for i in b[2].tolist()] for _ in range(4)]
    sampler = sampler_for(arm, tmp_path)
    loader = sampler.loader(**settings)
    list(loader)
    begun = []
    for number, batch in enumerate(loader):
        begun += batch[2].tolist()
        if number == 2:
            state = sampler.state_dict()
            break
    torch.save(state, tmp_path / "state.pt")
    resumed = sampler_for(arm, tmp_path)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    again = resumed.loader(**settings)
    assert rest_of(resumed, again, begun) == whole[1]
    assert resumed.report()["examples_seen"] == len(whole[0]) + len(whole[1])
    assert [rest_of(resumed, again, []) for _ in range(2)] == whole[2:]


def test_without_workers_a_plain_loader_is_exact_too() -> None:
    sampler = sampler_for("random")
    whole = draws(sampler)
    sampler = sampler_for("random")
    loader = DataLoader(dataset(), batch_size=5, sampler=sampler)
    first = next(iter(loader))[2].tolist()
    state = sampler.state_dict()
    resumed = sampler_for("random")
    resumed.load_state_dict(state)
    assert first + list(resumed) == whole[0]
    between = resumed.state_dict()
    later = sampler_for("random")
    later.load_state_dict(between)
    assert list(later) == whole[1]


def test_an_incomplete_last_batch_that_is_dropped_does_not_come_again() -> None:
    sampler = sampler_for("random")
    loader = sampler.loader(batch_size=7, drop_last=True)
    assert sum(len(batch[2]) for batch in loader) == 21
    resumed = sampler_for("random")
    resumed.load_state_dict(sampler.state_dict())
    assert list(resumed) == draws(sampler_for("random"))[1]


def test_a_seed_that_starts_again_trains_on_what_it_published(tmp_path: Path) -> None:
    whole = draws(sampler_for("seed", tmp_path), 3)
    again = sampler_for("seed", tmp_path, model=make_model(5))  # its arithmetic went elsewhere
    assert draws(again)[:3] == whole
    assert again.report()["history_published"] == 3


def test_frameworks_may_set_the_epoch(tmp_path: Path) -> None:
    whole = draws(sampler_for("seed", tmp_path))
    sampler = sampler_for("cached", tmp_path)
    sampler.set_epoch(4)
    assert list(sampler) == whole[4]
    sampler.set_epoch(5)
    assert list(sampler) == whole[5]


def test_persistent_workers_draw_each_epoch_once() -> None:
    sampler = sampler_for("random")
    loader = DataLoader(
        dataset(), batch_size=6, sampler=sampler, num_workers=2, persistent_workers=True
    )
    seen = [[i for b in loader for i in b[2].tolist()] for _ in range(3)]
    assert seen == draws(sampler_for("random"), 3)


def test_gradients_that_accumulate_over_an_epoch_are_left_alone() -> None:
    model = make_model()
    sampler = sampler_for("gradmatch", model=model, select_every=1)
    for _ in range(2):
        before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
        iterator = iter(sampler)
        for was, p in zip(before, model.parameters(), strict=True):
            assert (was is None) == (p.grad is None)
            assert was is None or torch.equal(was, p.grad)
        for position in iterator:
            x, y, _ = dataset()[position]
            mean_loss(model, (x[None], y[None])).backward()


def test_a_selection_draws_nothing_from_the_loops_random_numbers() -> None:
    class Augmented(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            x, y, i = super().__getitem__(index)
            return x + torch.randn(()) + np.random.rand() + random.random(), y, i  # noqa: NPY002

    torch.manual_seed(3)
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    data = Augmented(*dataset().tensors)
    model = nn.Sequential(nn.Linear(6, 4))
    torch.random.set_rng_state(states[0])
    iter(sampler_for("gradmatch", dataset=data, model=model))
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]


# What a sweep hands a trial.


def test_a_trials_configuration_says_all_that_a_sweep_can(tmp_path: Path) -> None:
    config = {
        "arm": "seed",
        "max_epochs": 6,
        "history": str(tmp_path),
        "seed": 4,
        "learning_rate": 0.1,
        "selection": {
            "fraction": 0.25,
            "select_every": 3,
            "algorithm": "gradmatch",
            "settings": {"gradmatch": {"regularization": 1.0}},
        },
    }
    given = {"model": make_model(), "loss": mean_loss, "fraction": 0.5, "epochs": 9}
    draws(SubsetSampler.from_config(config, dataset(), **given))
    identity = SubsetHistory.load(tmp_path).identity
    assert (identity.fraction, identity.select_every, identity.max_epochs) == (0.25, 3, 6)
    assert identity.settings == selector_named("gradmatch", regularization=1.0).settings()
    assert identity.seed_config["learning_rate"] == 0.1
    replay = SubsetSampler.from_config({**config, "arm": "cached"}, dataset())
    assert len(list(replay)) == 30
    named = {**config, "arm": "mine", "arms": {"mine": {"selector": "random", "fraction": 0.1}}}
    assert len(list(SubsetSampler.from_config(named, dataset()))) == 12
    half = {**config, "arm": "random", "selection": {"kappa": 0.5, "fraction": 0.5}}
    warm = SubsetSampler.from_config(half, dataset())
    assert [len(epoch) for epoch in draws(warm, 5)] == [SIZE] * 2 + [60] * 3
    plain = SubsetSampler.from_config({"lr": 0.1, "epochs": 2}, dataset())
    assert len(list(plain)) == SIZE


# What is wrong is said at once.


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter([])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dataset": Stream()}, "Stream has no length.*map-style"),
        ({"dataset": TensorDataset(torch.empty(0))}, "TensorDataset is empty"),
        ({"arm": "gradmach"}, r"did you mean gradmatch\?"),
        ({"arm": "seed"}, "arm 'seed' needs history="),
        ({"arm": "big_loss"}, "chooses within each mini-batch"),
        ({"model": None}, "selects by gradients: give model="),
        ({"model": None, "loss": None}, "give model and loss="),
        ({"model": nn.Linear}, "model must be a torch.nn.Module, got <class"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"arm": "random_pb", "batch_size": 2.0}, "batch_size must be .*, got 2.0"),
        (
            {"arm": "seed", "history": __file__},
            r"history is .*\.py, .* cannot publish .*not a folder",
        ),
        ({"arm": "glister"}, "give validation="),
        ({"fraction": 1.5}, r"fraction must be in \(0, 1\], got 1.5"),
        ({"epochs": 2.0}, "epochs must be an integer of at least 1, got 2.0"),
        ({"weights": "exact"}, "weights must be one of resample, lookup, ignore, got 'exact'"),
        ({"warm_start_epochs": 6}, "leaves no epoch of 6"),
        ({"settings": {"lambda": 3}}, "unknown setting lambda=3 of gradmatch; known: "),
    ],
)
def test_arguments_that_cannot_work_are_refused(given: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "dataset": dataset(), "arm": "gradmatch", "epochs": 6, "model": make_model(),
        "loss": mean_loss, **given,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        SubsetSampler(arguments.pop("dataset"), **arguments)


def test_a_batch_size_of_numpys_is_a_number() -> None:
    """As Tune draws them from a range of integers."""
    given: dict[str, Any] = {"arm": "gradmatch", "epochs": 6, "model": make_model()}
    drawn = [
        list(SubsetSampler(dataset(), loss=mean_loss, batch_size=size, **given))
        for size in (7, np.int64(7))
    ]
    assert drawn[0] == drawn[1]


def test_a_loss_that_is_a_class_is_told_to_be_made() -> None:
    for loss in (nn.CrossEntropyLoss, partial(nn.CrossEntropyLoss, reduction="sum")):
        made = SubsetSampler(dataset(), arm="gradmatch", epochs=6, model=make_model(), loss=loss)
        with pytest.raises(
            ValueError, match=r"class CrossEntropyLoss: give .* CrossEntropyLoss\(\)"
        ):
            list(made)


def test_a_history_of_other_data_is_refused_before_the_first_epoch(tmp_path: Path) -> None:
    draws(sampler_for("seed", tmp_path))
    with pytest.raises(HistoryMismatchError, match="dataset fingerprint"):
        sampler_for("cached", tmp_path, dataset=dataset(seed=1))
    with pytest.raises(HistoryMismatchError, match="fraction: trial 0.5, history 0.2"):
        sampler_for("cached", tmp_path, fraction=0.5)
    with pytest.raises(HistoryMismatchError, match="max_epochs: trial 9, history 6"):
        sampler_for("cached", tmp_path, epochs=9)
    with pytest.raises(HistoryConflictError, match="another seed's history"):
        sampler_for("seed", tmp_path, dataset=dataset(seed=1))


def test_a_replay_does_not_wait_for_ever(tmp_path: Path) -> None:
    sampler = sampler_for("cached", tmp_path, wait_s=0.05)
    with pytest.raises(HistoryUnavailableError, match="not published within 0.05 s.*seed"):
        iter(sampler)


def test_a_sampler_beside_a_loader_that_shuffles_is_noticed() -> None:
    sampler = sampler_for("random")
    list(DataLoader(dataset(), batch_size=8, shuffle=True))
    with pytest.raises(RuntimeError, match="give it to the loop's DataLoader"):
        sampler.report()
    with pytest.raises(ValueError, match="shuffle does not go with a SubsetSampler"):
        sampler.loader(batch_size=8, shuffle=True)


def test_more_epochs_than_the_sampler_was_made_for_are_refused() -> None:
    sampler = sampler_for("random", epochs=2)
    draws(sampler, 2)
    with pytest.raises(ValueError, match="epoch 3 begins, but the sampler was made for epochs=2"):
        iter(sampler)
    assert len(sampler) == 24


def test_a_diverged_model_is_named() -> None:
    model = make_model()
    model[0].weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite.*diverged"):
        iter(sampler_for("gradmatch", model=model))


def test_labels_of_any_form_group_the_examples() -> None:
    labels = dataset().tensors[1]
    inputs = TensorDataset(dataset().tensors[0])
    hot = functional.one_hot(labels).numpy()
    for given in (labels, labels.numpy(), hot):
        sampler = SubsetSampler(
            inputs, arm="random_stratified", epochs=1, fraction=0.2, labels=given
        )
        counts = torch.bincount(labels[list(sampler)])
        assert int((counts - 0.2 * torch.bincount(labels)).abs().max()) <= 1
    with pytest.raises(ValueError, match="labels have shape"):
        iter(SubsetSampler(inputs, arm="random_stratified", epochs=1, labels=labels[:5]))


# What it costs to have.


def test_importing_the_sampler_imports_torch_and_little_else() -> None:
    script = (
        "import sys, torch; before = set(sys.modules); from tune_select import SubsetSampler, "
        "collect_signals, DatasetIdentity; print(len(set(sys.modules) - before)); "
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    added, names = run.stdout.splitlines()
    heavy = {"ray", "mlflow", "pandas", "torchvision", "pyarrow", "pydantic", "analysis"}
    assert not heavy & set(names.split())
    # torch itself imports 1,700 modules.
    assert int(added) < 100


@pytest.mark.parametrize("arm", ["full", "random", "gradmatch"])
@pytest.mark.parametrize(
    "change", [lambda items: items.append(items[0]), lambda items: items.pop()]
)
def test_a_dataset_that_changes_its_length_is_refused(arm: str, change: Any) -> None:
    items = list(dataset())
    sampler = sampler_for(arm, dataset=items)
    list(sampler)
    change(items)
    with pytest.raises(ValueError, match=r"has 1(19|21) examples and had 120 when"):
        list(sampler)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"fraction": 0.5}, "of a sampler with fraction=0.2, this one has 0.5"),
        ({"select_every": 3}, "select_every=2, this one has 3"),
        ({"warm_start_epochs": 1}, "warm_start_epochs=0, this one has 1"),
        ({"dataset": dataset(size=40)}, "examples=120, this one has 40"),
    ],
)
def test_a_state_of_another_sampler_is_refused(other: dict[str, Any], message: str) -> None:
    sampler = sampler_for("random")
    list(sampler)
    state = sampler.state_dict()
    with pytest.raises(ValueError, match=message):
        sampler_for("random", **other).load_state_dict(state)
    del state["draws"]  # as older states were
    sampler_for("random").load_state_dict(state)
    with pytest.raises(ValueError, match="no state of a SubsetSampler: it has no 'drawn'"):
        sampler_for("random").load_state_dict({"epoch": 1})


def test_numbers_of_numpy_are_numbers() -> None:
    numbers = {"epochs": np.int64(6), "fraction": np.float32(0.2), "seed": np.int32(0)}
    assert draws(sampler_for("random", **numbers)) == draws(sampler_for("random"))
    config = {"arm": "random", "selection": {"fraction": 0.2, "select_every": 2}}
    sampler = SubsetSampler.from_config(config, dataset(), epochs=np.int64(6))
    assert draws(sampler) == draws(sampler_for("random"))


@pytest.mark.parametrize("position", [-1, SIZE, 10**9])
def test_weights_of_what_is_no_example_are_refused(position: int) -> None:
    sampler = sampler_for("random", weights="lookup")
    drawn = list(sampler)
    with pytest.raises(ValueError, match=rf"\[{position}\] are none of the dataset's 120"):
        sampler.weights_of([drawn[0], position])
