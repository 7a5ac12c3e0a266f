from itertools import pairwise

import pytest
from ray.tune.search.sample import Categorical, Float
from ray.tune.search.variant_generator import generate_variants

from tune_select.search.space import merged, resolve_space, spread


def test_inline_domains_become_tune_domains():
    space = resolve_space(
        {
            "learning_rate": {"loguniform": [1e-4, 1e-1]},
            "optimizer": {"choice": ["sgd", "adam"]},
            "batch_size": [32, 64],
            "momentum": 0.9,
        }
    )
    assert space.axes == ("learning_rate", "optimizer", "batch_size")
    assert isinstance(space.params["learning_rate"], Float)
    assert isinstance(space.params["optimizer"], Categorical)
    assert space.grid_values("batch_size") == [32, 64]
    example = space.example()
    assert 1e-4 <= example["learning_rate"] <= 1e-1
    assert example["momentum"] == 0.9


def test_dotted_keys_reach_into_nested_settings_and_keep_their_neighbours():
    space = resolve_space(
        {"selection.fraction": [0.1, 0.3], "selection.select_every": {"grid": [5]}}
    )
    config = merged({"selection": {"algorithm": "craig", "fraction": 0.5}}, space.params)
    variants = [variant for _, variant in generate_variants(config)]
    assert [v["selection"]["fraction"] for v in variants] == [0.1, 0.3]
    assert all(v["selection"]["algorithm"] == "craig" for v in variants)
    assert space.grid_values("selection.fraction") == [0.1, 0.3]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"a": {"lognormal": [0, 1]}}, "space.a has the unknown domain 'lognormal'"),
        ({"a": {"b": [0, 1]}}, r"a key inside a is written with a dot: a\.b"),
        ({"a": {"uniform": [0]}}, "space.a.uniform"),
        ({"a": {"uniform": [1, 0.1]}}, r"upper bound first; write \[0.1, 1\]"),
        ({"a": {"qrandint": [9, 3, 2]}}, r"upper bound first; write \[3, 9, 2\]"),
        ({"a": {"uniform": [0, 1], "grid": [1]}}, "space.a must name one domain"),
        ({"a": 3}, "varies nothing"),
        ("search_spaces.nothing", "has no 'nothing'"),
        ("no_such_package.space", "no module 'no_such_package'"),
        ("digits", "import string"),
        ("tune_select.search.space.MOST", "has no 'MOST'"),
        ("tune_select.search.foreseen.MOST", "which is not a function"),
        ({"a..b": [1]}, "the key 'a..b'; keys are texts"),
        ({1: [1]}, "the key 1; keys are texts"),
        ({".".join("a" * 41): [1]}, "keys are texts"),
        ({"a.b": [1], "a": [2]}, "space.a.b lies inside another key"),
        ({"a": {"uniform": 3}}, "space.a.uniform must be a list, got 3"),
        ({"a": {}}, "space.a must name one domain, got"),
        ({"a": {1: [2]}}, "space.a must name one domain by a text"),
        (3, "space must be a mapping of keys, got 3"),
    ],
)
def test_a_wrong_space_is_named(space, message):
    with pytest.raises(ValueError, match=message):
        resolve_space(space)


def test_listed_configurations_are_kept_as_they_are():
    space = resolve_space([{"a": 1, "b.c": 2}, {"a": 1, "b.c": 3}])
    assert space.points == ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
    assert space.axes == ("a", "b.c")
    assert space.example() == space.points[0]
    assert space.grid_values("a") == [1]
    assert space.grid_values("b.c") == [2, 3]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ([], "lists no configuration"),
        ([{"a": 1}, {"b": 1}], r"space\[1\] sets \['b'\], but space\[0\] sets \['a'\]"),
        ([{"a": 1}, {"a": 2}, {"a": 1}], r"space\[2\] repeats"),
    ],
)
def test_a_wrong_list_is_named(space, message):
    with pytest.raises(ValueError, match=message):
        resolve_space(space)


def test_seed_axes_must_be_grids():
    space = resolve_space({"learning_rate": {"uniform": [0, 1]}})
    with pytest.raises(ValueError, match=r"seed_by names 'learning_rate'"):
        space.grid_values("learning_rate")


def test_a_function_of_a_trial_is_define_by_run():
    space = resolve_space("search_spaces.define_by_run")
    assert space.define_by_run is not None
    assert space.params == {}


def test_merging_changes_neither_side():
    base, override = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merged(base, override) == {"a": {"b": 1, "c": 2}}
    assert base == {"a": {"b": 1}}
    assert override == {"a": {"c": 2}}


def test_many_items_are_thinned_evenly_and_keep_their_ends():
    assert spread([1, 2, 3], 3) == [1, 2, 3]
    thinned = spread(list(range(10_001)), 11)
    assert thinned == list(range(0, 10_001, 1000))
    assert spread(list(range(100)), 2) == [0, 99]


def test_examples_hold_every_listed_value_and_the_first_of_the_others():
    space = resolve_space({"a": [1, 2, 3], "b.c": ["x", "y"], "d": {"uniform": [0, 1]}})
    examples = space.examples()
    assert [(e["a"], e["b"]["c"]) for e in examples] == [
        (1, "x"), (2, "x"), (3, "x"), (1, "y"),
    ]  # fmt: skip
    assert all(0 <= e["d"] <= 1 for e in examples)
    assert resolve_space("search_spaces.define_by_run").examples() == [{}]
    assert resolve_space("search_spaces.define_by_run").example() == {}
    assert resolve_space([{"a": 1}, {"a": 2}]).examples() == [{"a": 1}, {"a": 2}]


def test_only_a_space_that_lists_every_value_is_listed():
    whole = resolve_space({"a": [1, 2], "b": ["x", "y"]})
    assert whole.listed() == [{"a": a, "b": b} for b in ("x", "y") for a in (1, 2)]
    assert resolve_space({"a": [1, 2], "b": {"uniform": [0, 1]}}).listed() == []
    assert resolve_space("search_spaces.define_by_run").listed() == []
    assert resolve_space([{"a": 1}, {"a": 2}]).listed() == [{"a": 1}, {"a": 2}]


def test_cells_are_those_of_the_grid_or_the_listed_configurations():
    assert resolve_space({"a": [1, 2, 3], "b": ["x", "y"], "c": {"uniform": [0, 1]}}).cells == 6
    assert resolve_space({"c": {"uniform": [0, 1]}}).cells == 1
    assert resolve_space([{"a": 1}, {"a": 2}, {"a": 5}]).cells == 3
    assert resolve_space("search_spaces.define_by_run").cells == 1


@pytest.mark.parametrize("most", [2, 3, 7, 10])
@pytest.mark.parametrize("count", [2, 7, 10, 23])
def test_what_is_spread_is_even(count, most):
    found = spread(list(range(count)), most)
    assert len(found) == min(count, most)
    assert (found[0], found[-1]) == (0, count - 1)
    steps = [later - earlier for earlier, later in pairwise(found)]
    assert max(steps) - min(steps) <= 1


def test_keys_may_lie_deep_and_beside_each_other():
    deep = ".".join("a" * 40)
    space = resolve_space({deep: [1, 2], "ab.c": {"choice": ["x", "y"]}, "a2": 5})
    assert space.axes == (deep, "ab.c")
    assert [e["ab"]["c"] for e in space.examples()] == ["x", "x", "y"]
    with pytest.raises(ValueError, match="grid axes there: "):
        space.grid_values("a2")
    assert resolve_space({"a": {"choice": ["x", "y"]}}).listed() == []


def test_a_listed_axis_that_is_empty_or_cannot_be_drawn_is_named():
    with pytest.raises(ValueError, match="space.a lists no value"):
        resolve_space({"a": [], "b": [1]}).examples()
    with pytest.raises(ValueError, match="space.a.quniform"):
        resolve_space({"a": {"quniform": [0, 1, 0]}})
