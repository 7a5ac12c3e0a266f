"""What can happen to a sweep file: functions of its mapping, or of its bytes, and a generator."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable
from typing import Any

Mutation = Callable[[dict[str, Any], random.Random], None]

JUNK: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3.5, 1e308, 1e-320, float("nan"), float("inf"), -0.0, 10**12,
    2**62, -(2**63), "", "x", "1", "0.1", "../x", "/etc/passwd", "a.b", "os.getcwd", "sys.exit",
    "trainables.Nope", "~", "${HOME}", "é", "no", "cached", "full", "seed", "gradmatch", "grid",
    "optuna", "pbt", "x" * 3000, [], {}, [[]], [None], [1, 2], {"a": 1}, {"": 1}, {1: 2},
    {"grid_search": [1]}, {"choice": []}, {"regret_pp": 0.1}, {"fractions": [0.1, 0.2]},
    {"rungs": [{"epochs": 1}]}, {"keep": 10**9}, ["seed"], {"seed": [0, 1]}, list(range(1000)),
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 0.5, 1e-4, 1e308, float("nan"), float("inf"), 10**12, "1", None, True, []]
DOMAINS = [
    "uniform", "quniform", "loguniform", "qloguniform", "randint", "qrandint", "lograndint",
    "randn", "choice", "grid", "sample_from", "grid_search",
]  # fmt: skip
AXES = [
    "learning_rate", "batch_size", "model", "optimizer", "selection.fraction", "selection", "a.b.c",
    "seed", "arm", "history", "configuration", "max_epochs", "selection.algorithm", "evaluation",
    "resolved_arm", "arms", "data", ".", "model_settings", "train", "momentum", "eval_every",
]  # fmt: skip
KEYS = [
    "name", "space", "arms", "tune", "train", "data", "selection", "evaluation", "resources",
    "promote", "rivals", "history", "tracking", "cluster", "modules", "sweep_id", "searcher",
    "scheduler", "searcher_options", "scheduler_options", "num_samples", "max_concurrent", "seeds",
    "seed_by", "stream", "time_budget_s", "stop_when", "max_failures", "ladder", "metric", "mode",
    "fraction", "select_every", "warm_start_epochs", "kappa", "settings", "algorithm", "selector",
    "learning_rate", "batch_size", "max_epochs", "model", "optimizer", "fractions", "epochs",
    "rungs", "keep", "rank_by", "confirm", "train_on", "every", "share", "test", "address",
    "validation_part", "num_cpus", "runtime_env", "uri", "experiment", "chance", "schedule", "amp",
    "milestones", "augment", "validation_fraction", "pool", "stale", "start", "end", "interrupt",
]  # fmt: skip
SCHEDULERS = [
    "fifo", "asha", "hyperband", "median", "pbt", "os.path.join", "ray.tune.schedulers.pb2.PB2",
]  # fmt: skip
SEARCHERS = [
    "grid", "random", "optuna", "bayesopt", "os.path.join", "ray.tune.search.Searcher",
    "ray.tune.search.bayesopt.BayesOptSearch",
]  # fmt: skip
OPTIONS = [
    "max_t", "grace_period", "reduction_factor", "brackets", "time_attr", "perturbation_interval",
    "hyperparam_mutations", "quantile_fraction", "burn_in_period", "min_samples_required", "seed",
    "metric", "points_to_evaluate", "space", "sampler", "custom_explore_fn",
]  # fmt: skip
TOKENS = [
    b"&a ", b"*a", b"!!", b"? ", b"\t", b": ", b"- ", b"{", b"[", b"}", b"]", b"'", b'"', b"|\n",
    b"%YAML 9\n", b"---\n", b"...\n", b"<<: ", b"#", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"1e9",
    b".inf", b".nan", b"!!python/name:os.system ", b"0x7f", b"0o17", b"1:30", b"\\", b"@", b"\r",
]  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a nested value."""
    keys: Any = ()
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def _junk(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(JUNK + NUMBERS))


def junk_somewhere(sweep: dict[str, Any], chance: random.Random) -> None:
    container, key = chance.choice(places(sweep))
    container[key] = _junk(chance)


def drop_something(sweep: dict[str, Any], chance: random.Random) -> None:
    container, key = chance.choice(places(sweep))
    del container[key]


def rename_a_key(sweep: dict[str, Any], chance: random.Random) -> None:
    container, key = chance.choice([(c, k) for c, k in places(sweep) if isinstance(c, dict)])
    names = [f"{key}x", str(key)[1:], str(key).upper(), f"a.{key}", f"{key}.b", 1, None, ""]
    container[chance.choice(names)] = container.pop(key)


def nudge_a_number(sweep: dict[str, Any], chance: random.Random) -> None:
    numbers = [(c, k) for c, k in places(sweep) if type(c[k]) in (int, float)]
    container, key = chance.choice(numbers)
    number = container[key]
    nudged = [-number, 0, number * 2, number / 2, number * 10**6, str(number), float(number), True]
    container[key] = chance.choice([*nudged, number + 1, float("nan"), float("inf")])


def wrap_something(sweep: dict[str, Any], chance: random.Random) -> None:
    container, key = chance.choice(places(sweep))
    value = container[key]
    wraps = [[value], {"a": value}, [value, value], {str(key): value}, {"grid": [value]}]
    container[key] = chance.choice([*wraps, {"choice": [value, value]}])


def nest_deeply(sweep: dict[str, Any], chance: random.Random) -> None:
    container, key = chance.choice(places(sweep))
    for _ in range(chance.choice([5, 30, 60])):
        container[key] = [container[key]] if chance.random() < 0.5 else {"a": container[key]}


def swap_two(sweep: dict[str, Any], chance: random.Random) -> None:
    (one, i), (other, j) = chance.sample(places(sweep), 2)
    one[i], other[j] = copy.deepcopy(other[j]), copy.deepcopy(one[i])


def change_the_space(sweep: dict[str, Any], chance: random.Random) -> None:
    arguments = [copy.deepcopy(chance.choice(NUMBERS)) for _ in range(chance.randrange(5))]
    values = [{chance.choice(DOMAINS): arguments}, arguments, chance.choice(NUMBERS)]
    values += [{chance.choice(DOMAINS): chance.choice(NUMBERS)}, {"randint": [1, 10**9]}]
    axis, value = chance.choice(AXES), chance.choice([*values, {"choice": [{"x": 1}, None]}])
    space = sweep.get("space")
    if isinstance(space, dict) and chance.random() < 0.7:
        space[axis] = value
    elif isinstance(space, list):
        for point in space:
            point[axis] = copy.deepcopy(value)
    else:
        sweep["space"] = {axis: value}


def make_the_grid_huge(sweep: dict[str, Any], chance: random.Random) -> None:
    axes = chance.sample(["learning_rate", "batch_size", "momentum", "max_epochs", "seed"], 4)
    sweep["space"] = {axis: list(range(1, chance.choice([3, 300]))) for axis in axes}


def change_the_scheduler(sweep: dict[str, Any], chance: random.Random) -> None:
    tune = sweep.setdefault("tune", {})
    tune["scheduler"] = chance.choice(SCHEDULERS)
    options = {chance.choice(OPTIONS): _junk(chance) for _ in range(chance.randrange(3))}
    tune["scheduler_options"] = options
    if tune["scheduler"] == "pbt":
        rates = [[0.1, 0.2], {"uniform": [0, 1]}, "x", {"uniform": ["a"]}]
        options["hyperparam_mutations"] = chance.choice(
            [{"learning_rate": rate} for rate in rates] + [{}, {"a": 1}, [1]]
        )


def change_the_searcher(sweep: dict[str, Any], chance: random.Random) -> None:
    tune = sweep.setdefault("tune", {})
    tune["searcher"] = chance.choice(SEARCHERS)
    tune["searcher_options"] = {
        chance.choice(OPTIONS): _junk(chance) for _ in range(chance.randrange(3))
    }


def add_a_key(sweep: dict[str, Any], chance: random.Random) -> None:
    mappings = [sweep, *(c[k] for c, k in places(sweep) if isinstance(c[k], dict))]
    chance.choice(mappings)[chance.choice(KEYS)] = _junk(chance)


MUTATIONS: list[Mutation] = [
    junk_somewhere, junk_somewhere, drop_something, rename_a_key, nudge_a_number, nudge_a_number,
    wrap_something, nest_deeply, swap_two, change_the_space, change_the_space, make_the_grid_huge,
    change_the_scheduler, change_the_searcher, add_a_key, add_a_key, add_a_key,
]  # fmt: skip


def mutated(sweep: dict[str, Any], number: int) -> dict[str, Any]:
    """A sweep that one to three mutations have changed; the number says which."""
    chance, changed = random.Random(number), copy.deepcopy(sweep)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        # An earlier mutation may have left nothing of what this one changes.
        with contextlib.suppress(
            AttributeError, LookupError, TypeError, ValueError, ArithmeticError
        ):
            chance.choice(MUTATIONS)(changed, chance)
    return changed


def spoiled(text: bytes, number: int) -> bytes:
    """A file with bits flipped, parts cut out or repeated, or signs of YAML put in."""
    chance, content = random.Random(number), bytearray(text)
    for _ in range(chance.randrange(1, 4)):
        place, how = chance.randrange(len(content) + 1), chance.randrange(5)
        if how == 0 and place < len(content):
            content[place] ^= 1 << chance.randrange(8)
        elif how == 1:
            del content[place : place + chance.randrange(1, 30)]
        elif how == 2:
            content[place:place] = chance.choice(TOKENS)
        elif how == 3:
            start = chance.randrange(len(content) + 1)
            content[place:place] = content[start : start + chance.randrange(60)]
        elif chance.random() < 0.3:
            del content[place:]
    return bytes(content)
