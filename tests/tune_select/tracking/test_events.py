import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.tracking.events import (
    as_ranges,
    clean_key,
    clean_tags,
    from_ranges,
    history_key,
    is_waiting,
    merge,
    metrics_of,
    params_of,
    run_name,
    selector_of,
    step_of,
    tags_of,
)

CONFIG = {
    "arm": "gradmatch_r5",
    "learning_rate": 0.01,
    "seed": 3,
    "selection": {"algorithm": "gradmatch", "settings": {"gradmatch": {"regularization": 0.5}}},
    "arms": {"gradmatch_r5": {"selector": "gradmatch", "select_every": 5}},
    "history": {"path": "/results/s/history/ab12/", "store": "store-1"},
}


def test_a_rung_is_a_tag() -> None:
    place = {"strategy": "ladder", "rung": 0, "rung_name": "3%", "promoted_from": ""}
    tags = tags_of({"arm": "3%", "configuration": 4, **place})
    assert tags == {
        "arm": "3%", "selector": "3%", "configuration": "4", "strategy": "ladder", "rung": "0",
        "rung_name": "3%",
    }  # fmt: skip
    assert (
        tags_of({"arm": "10%", **place, "rung": 1, "promoted_from": "ab1"})["promoted_from"]
        == "ab1"
    )


def test_params_are_flat_text() -> None:
    params = params_of(CONFIG)
    assert params["selection/settings/gradmatch/regularization"] == "0.5"
    assert params["learning_rate"] == "0.01"
    assert all(isinstance(value, str) for value in params.values())


def test_params_mask_passwords() -> None:
    assert params_of({"history": "s3://me:pw@host/h"})["history"] == "s3://me:***@host/h"
    assert clean_tags({"note": "http://me:pw@host"}) == {"note": "http://me:***@host"}


def test_metrics_are_the_numbers_of_a_report() -> None:
    result = {
        "epoch": 3,
        "val_accuracy": np.float32(0.5),
        "subset_size": np.int64(50),
        "train_loss": math.nan,
        "energy_j": None,
        "history_complete": True,
        "config": {"learning_rate": 0.1},
        "training_iteration": 9,
        "waiting_for_interval": -1,
        "extra": {"a:b": 1},
        "trial_id": "x",
    }
    values = metrics_of(result)
    assert math.isnan(values.pop("train_loss"))
    assert values == {"epoch": 3.0, "val_accuracy": 0.5, "subset_size": 50.0, "extra/a_b": 1.0}


def test_steps_are_epochs_where_there_are_any() -> None:
    assert step_of({"epoch": 4, "training_iteration": 7}) == 4
    assert step_of({"training_iteration": 7}) == 7
    assert step_of({"epoch": math.nan}) == 0
    assert step_of({}) == 0


@pytest.mark.parametrize(("value", "expected"), [(0, True), (3, True), (-1, False), (None, False)])
def test_waiting_reports_are_told_apart(value: int | None, expected: bool) -> None:
    assert is_waiting({"waiting_for_interval": value}) is expected
    assert is_waiting({}) is False


@pytest.mark.parametrize(
    ("history", "key"),
    [
        (None, None),
        ("", None),
        ("/a/b/history/k1", "k1"),
        ("s3://bucket/history/k1/?region=x", "k1"),
        ({"path": "/a/history/k2", "store": None}, "k2"),
        ({"root": "/a/history", "store": "s", "seed_by": []}, "seed"),
        ({"root": "/a/history", "store": "s", "seed_by": ["no.such.axis"]}, None),
    ],
)
def test_history_key(history: object, key: str | None) -> None:
    assert history_key({"history": history}) == key


def test_selector_behind_an_arm() -> None:
    assert selector_of(CONFIG) == "gradmatch"
    assert selector_of({**CONFIG, "arm": "seed"}) == "gradmatch"
    assert selector_of({**CONFIG, "arm": "random_pb"}) == "random_pb"
    assert selector_of({**CONFIG, "arm": "full"}) == "full"
    assert selector_of({"lr": 1}) is None


def test_tags() -> None:
    assert tags_of(CONFIG) == {
        "arm": "gradmatch_r5",
        "selector": "gradmatch",
        "history_key": "ab12",
        "seed": "3",
    }
    assert tags_of({}) == {}


def test_run_names_tell_what_varies() -> None:
    varied = {"arm": "cached", "learning_rate": 0.0030000001, "data": {"name": "digits"}}
    assert run_name({"arm": "cached"}, varied, "t1") == "cached 0.003 digits"
    numbered = {"configuration": 4, "seed": 1, "optimizer": "adam"}
    assert run_name({"arm": "full"}, numbered, "t1") == "full adam seed=1"
    assert run_name({}, {}, "t1") == "t1"


@settings(deadline=None)
@given(st.text(max_size=400))
def test_clean_keys_are_names_that_mlflow_takes(key: str) -> None:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

    cleaned = clean_key(key)
    assert clean_key(cleaned) == cleaned
    _validate_metric(Metric(cleaned, 1.0, 0, 0).key, 1.0, 0, 0)
    _validate_param(Param(cleaned, "x").key, "x")
    _validate_tag(RunTag(cleaned, "x").key, "x")


@settings(deadline=None)
@given(st.frozensets(st.integers(0, 60)))
def test_ranges_of_steps_round_trip(steps: frozenset[int]) -> None:
    assert from_ranges(as_ranges(steps)) == steps


def test_ranges_of_steps_read_well() -> None:
    assert as_ranges([3, 4, 5, 12, 1]) == "1, 3-5, 12"
    assert as_ranges([]) == ""


TRIALS = st.sampled_from(["a", "b", "c", None])
KINDS = st.sampled_from(["start", "metrics", "tags", "end"])


@settings(deadline=None)
@given(st.lists(st.tuples(TRIALS, KINDS), max_size=40))
def test_merging_keeps_every_event_and_the_order_that_matters(drawn) -> None:
    events = [
        {"kind": "finish", "trial": None, "time_ms": i}
        if trial is None
        else {"kind": kind, "trial": trial, "time_ms": i, "step": i, "values": {"x": i}}
        for i, (trial, kind) in enumerate(drawn)
    ]
    merged = merge(json.loads(json.dumps(events)))

    def times(event: dict) -> list[int]:
        return [p[1] for p in event["points"]] if "points" in event else [event["time_ms"]]

    flat = [(event.get("trial"), event["kind"], t) for event in merged for t in times(event)]
    assert sorted(flat, key=lambda e: e[2]) == [
        (e["trial"], e["kind"], e["time_ms"]) for e in events
    ]
    for trial in "abc":
        of_trial = [t for name, _, t in flat if name == trial]
        assert of_trial == sorted(of_trial)
    for place, (trial, _, t) in enumerate(flat):
        if trial is None:  # a barrier: all earlier events are before it, all later ones behind it
            assert all(other < t for _, _, other in flat[:place])
            assert all(other > t for _, _, other in flat[place + 1 :])


def test_merging_joins_the_reports_of_a_trial_into_one_request() -> None:
    events = [
        {"kind": "metrics", "trial": t, "step": i, "time_ms": i, "values": {"x": i}}
        for i in range(10)
        for t in "ab"
    ]
    merged = merge(events)
    assert [(e["trial"], len(e["points"])) for e in merged] == [("a", 10), ("b", 10)]
