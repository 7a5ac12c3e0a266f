import hashlib

import pytest

from tune_select.history.location import history_key, history_location


def test_a_plain_place_is_kept():
    assert history_location({"history": "folder"}) == "folder"
    assert history_location({"history": None}) is None
    assert history_location({"history": {"path": "p", "store": "s"}}) == {"path": "p", "store": "s"}


def test_seed_and_replay_of_the_same_axis_values_meet():
    place = {"root": "r", "store": "s", "seed_by": ["selection.fraction"]}
    seed = {"arm": "seed", "selection": {"fraction": 0.1}, "learning_rate": 1, "history": place}
    replay = {"arm": "cached", "selection": {"fraction": 0.1}, "learning_rate": 2, "history": place}
    other = {"arm": "cached", "selection": {"fraction": 0.3}, "history": place}
    assert history_location(seed) == history_location(replay)
    assert history_location(seed) != history_location(other)


def test_values_that_look_alike_in_a_path_stay_apart():
    place = {"root": "r", "store": "s", "seed_by": ["name"]}
    first, second = ({"name": name, "history": place} for name in ("a/b", "a:b"))
    assert history_location(first) != history_location(second)


def test_a_missing_axis_is_named():
    place = {"root": "r", "store": "s", "seed_by": ["model"]}
    with pytest.raises(ValueError, match="model"):
        history_location({"history": place})


def test_what_an_arm_changes_counts_for_where_its_history_is():
    place = {"root": "r", "store": "s", "seed_by": ["selection.algorithm", "seed"]}
    common = {"arms": {"common": {"selector": "cached", "algorithm": "random"}}, "history": place}
    seed = {**common, "arm": "seed", "seed": 1, "selection": {"algorithm": "random"}}
    follows = {**common, "arm": "common", "seed": 1, "selection": {"algorithm": "gradmatch"}}
    assert history_location(seed) == history_location(follows)
    assert history_location(seed) != history_location({**follows, "arm": "cached"})
    assert history_location(seed) != history_location({**follows, "seed": 2})


def test_a_history_of_an_axis_is_named_by_its_value_in_letters_that_every_storage_takes():
    name = history_key({"model": "timm/vit_b-16.a b"}, ["model"])
    assert name.startswith("seed-timm_vit_b_16.a_b-")


def test_the_names_of_folders_stay_what_they_were():
    """As the first sweeps wrote them: values in the order of the axes, a digest of all by name."""
    config = {"model": "a-model-of-more-than-24-letters", "selection": {"fraction": 0.1}}
    text = '{"model": "a-model-of-more-than-24-letters", "selection.fraction": 0.1}'
    digest = hashlib.sha256(text.encode()).hexdigest()
    found = history_key(config, ["selection.fraction", "model"])
    assert found == f"seed-0.1-a_model_of_more_than_24_-{digest[:8]}"
    assert history_key(config, []) == "seed"
    place = {"root": "r", "store": "s", "seed_by": []}
    assert history_location({"history": place}) == {"path": "r/seed", "store": "s"}
    assert history_location({"history": {"root": "r"}}) == {"path": "r/seed", "store": None}
