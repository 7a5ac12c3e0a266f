import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.yaml_file import dump_sweep, load_sweep, parse_sweep

MINIMAL = {"name": "a", "space": {"learning_rate": [0.1, 0.2]}}


def sweep(**keys) -> SweepConfig:
    return parse_sweep({**MINIMAL, **keys})


def test_defaults_are_those_of_the_paper():
    selection = sweep().selection
    assert (selection.algorithm, selection.fraction, selection.select_every) == (
        "gradmatch",
        0.1,
        20,
    )


@pytest.mark.parametrize(
    ("wrong", "field", "value"),
    [
        ({"selection": {"fraction": 1.5}}, "selection.fraction", "1.5"),
        ({"selection": {"fraction": 0}}, "selection.fraction", "0"),
        ({"selection": {"fractoin": 0.1}}, "selection.fractoin", "unknown key"),
        ({"epochs": 3}, "epochs", "unknown key"),
        ({"selection": {"select_every": 30}, "train": {"max_epochs": 20}}, "select_every", "30"),
        ({"selection": {"kappa": 0.5, "warm_start_epochs": 2}}, "kappa", "0.5"),
        ({"arms": ["seed", "full"]}, "arms", "seed"),
        ({"arms": ["full", "full"]}, "arms", "full"),
        ({"arms": []}, "arms", "[]"),
        ({"arms": [{"name": "x", "selectr": "full"}]}, "selectr", "full"),
        ({"arms": ["full"], "history": "somewhere"}, "history", "somewhere"),
        ({"tune": {"seeds": [1, 1]}}, "tune.seeds", "[1, 1]"),
        ({"tune": {"num_samples": "many"}}, "tune.num_samples", "many"),
        ({"resources": {"gpu": -1}}, "resources", "-1"),
        ({"name": "../up"}, "name", "../up"),
        ({"tracking": {"url": "x"}}, "tracking.url", "unknown key"),
        (
            {
                "arms": [
                    {"name": "a", "selector": "full", "match_seconds_of": "b"},
                    {"name": "b", "selector": "full", "match_seconds_of": "a"},
                ]
            },
            "a.match_seconds_of",
            "none (add one)",
        ),
        (
            {"arms": ["full", {"name": "e", "selector": "full", "match_seconds_of": "craig"}]},
            "match_seconds_of",
            "craig",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value(wrong, field, value):
    with pytest.raises(SweepError) as caught:
        sweep(**wrong)
    assert field in str(caught.value)
    assert value in str(caught.value)


def test_every_wrong_field_is_reported_at_once():
    with pytest.raises(SweepError) as caught:
        sweep(promote=-1, selection={"fraction": 2})
    assert "promote" in str(caught.value)
    assert "selection.fraction" in str(caught.value)


def test_a_missing_file_and_broken_yaml_are_named(tmp_path):
    with pytest.raises(SweepError, match="none.yaml"):
        load_sweep(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [")
    with pytest.raises(SweepError, match=r"broken.yaml is not YAML"):
        load_sweep(broken)
    broken.write_text("- a list")
    with pytest.raises(SweepError, match="mapping"):
        load_sweep(broken)


def test_exponents_without_a_point_are_numbers(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("name: a\nspace: {learning_rate: {loguniform: [1e-4, 1e-1]}}\n")
    space = load_sweep(file, ["train.weight_decay=5e-4"])
    assert space.space == {"learning_rate": {"loguniform": [1e-4, 1e-1]}}
    assert space.train == {"weight_decay": 5e-4}


def test_overrides_reach_nested_keys_and_leave_the_rest():
    config = parse_sweep(
        {**MINIMAL, "train": {"model": "lenet", "max_epochs": 40}},
        ["train.max_epochs=50", "tune.seeds=[1, 2]", "arms=[full]"],
    )
    assert config.train == {"model": "lenet", "max_epochs": 50}
    assert config.tune.seeds == [1, 2]
    assert config.arms == ["full"]


@pytest.mark.parametrize("override", ["fraction", "=3", "name.inner=3", "train.x=["])
def test_a_bad_override_is_refused(override):
    with pytest.raises(SweepError, match="-o"):
        parse_sweep(MINIMAL, [override])


@given(
    fraction=st.floats(0, 1, exclude_min=True),
    every=st.integers(1, 100),
    seeds=st.lists(st.integers(0, 99), min_size=1, unique=True),
    tracking=st.sampled_from([False, {"uri": "sqlite:///a.db", "experiment": None}]),
)
def test_a_dumped_sweep_reads_back_equal(fraction, every, seeds, tracking):
    config = sweep(
        selection={"fraction": fraction, "select_every": every},
        tune={"seeds": seeds},
        tracking=tracking,
        arms=["cached", {"name": "r5", "selector": "gradmatch", "select_every": 5}],
    )
    back = parse_sweep(yaml.safe_load(dump_sweep(config)))
    assert back == config
    assert math.isclose(back.selection.fraction, fraction)


@given(
    weights=st.dictionaries(
        st.one_of(st.integers(-9, 9), st.floats(-2, 2), st.none()), st.floats(0, 9), min_size=1
    )
)
def test_keys_that_are_numbers_stay_numbers(weights):
    keys = set(map(type, weights))
    config = sweep(
        data={"settings": {"weights": weights}}, train={"model_settings": {"of": weights}}
    )
    back = parse_sweep(yaml.safe_load(dump_sweep(config)))
    assert back == config
    assert set(map(type, back.data["settings"]["weights"])) == keys


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"data": {0: 1}}, "data has the key 0, which is no text: quote it"),
        ({0: 1}, "the key 0 is no text: quote it"),
        (
            {"data": {"settings": {"w": {0: 1, "0": 2}}}},
            "data.settings.w has the key 0 beside keys that are texts: quote it",
        ),
        (
            {"space": {"data.settings.w": {"grid": [{0: 1}]}}},
            r"space\.data\.settings\.w\.grid\[0\] has the key 0, which the results .* as a text",
        ),
    ],
)
def test_keys_that_would_come_back_as_others_are_refused(keys, message):
    with pytest.raises(SweepError, match=message):
        sweep(**keys) if all(isinstance(k, str) for k in keys) else parse_sweep({**MINIMAL, **keys})


def test_roles_of_arms():
    config = sweep(
        arms=[
            "full",
            {"name": "mixed", "selector": "cached"},
            {"name": "early", "selector": "full", "match_seconds_of": "mixed"},
        ]
    )
    assert config.replay_arms() == ["mixed"]
    assert config.primary_arm() == "mixed"
    assert config.needs_seed()
    assert config.search_arms() == ["full", "mixed"]
    assert not sweep(arms=["full", "random"]).needs_seed()
    assert not sweep(arms=["cached"], history="h").needs_seed()


def test_replays_go_by_any_of_their_names():
    config = sweep(arms=["cached_mixed", "full"])
    assert config.replay_arms() == ["cached_mixed"]
    assert config.needs_seed()


def test_composed_replays_come_after_the_search_and_steer_nothing():
    config = sweep(
        arms=["cached_composed", "full", "cached"], tune={"seeds": [0, 1], "seed_by": ["seed"]}
    )
    assert config.composed_arms() == ["cached_composed"]
    assert config.search_arms() == ["full", "cached"]
    assert config.primary_arm() == "cached"
    alone = sweep(arms=["cached_composed", "full"], tune={"seeds": [0, 1], "seed_by": ["seed"]})
    assert alone.primary_arm() == "full"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"arms": ["cached_composed", "full"]}, r"give at least two seeds and seed_by: \[seed\]"),
        (
            {"arms": ["cached_composed"], "tune": {"seeds": [0, 1], "seed_by": ["seed"]}},
            "arms holds nothing beside 'cached_composed'",
        ),
        (
            {"arms": ["cached", {"name": "a", "selector": "craig", "algorithm": "random"}]},
            "a.algorithm is 'random'.*set selector: cached, or selector: random",
        ),
    ],
)
def test_replays_that_no_seed_can_serve_are_refused(keys, message):
    with pytest.raises(SweepError, match=message):
        sweep(**keys)
