import numpy as np
import pytest

from analysis.questions.ladder.recorded import Recorded, Rung
from analysis.questions.ladder.variants import (
    DEFAULT,
    Variant,
    own_variant,
    ranks_of,
    variants,
)
from tune_select.search.ladder import Rules
from tune_select.sweep.ladder_config import LadderConfig


def rung(selector: str, title: str, share: float) -> Rung:
    arm = f"{selector}_{title.rstrip('%').split()[0]}"
    return Rung(arm, selector, title, share, {}, {}, {})


RUNGS = [
    *(rung("random", f"{p}%", p / 100) for p in (3, 10, 30)),
    *(rung("cached", f"{p}%", p / 100) for p in (3, 10, 30)),
    *(rung("full", f"{e} epoch{'s' * (e > 1)}", e / 12) for e in (1, 2, 4)),
]
RECORDED = Recorded(
    truth=np.zeros(9),
    points=np.zeros((9, 1)),
    curves={},
    spent={},
    evaluated=frozenset(),
    rungs={r.arm: r for r in sorted(RUNGS, key=lambda r: r.share)},
)


def own(**ladder: object) -> Variant | None:
    return own_variant(RECORDED, {"tune": {"ladder": ladder}})


def test_the_ladders_are_those_of_one_kind_single_rungs_and_mixtures() -> None:
    found = {variant.name: variant for variant in variants(RECORDED, {})}
    assert found["ladder of random"].rungs == ("random_3", "random_10", "random_30")
    assert found["ladder of full"].rungs == ("full_1", "full_2", "full_4")
    assert found["ladder of cached, keep 4, confirm 2"] == Variant(
        "ladder of cached, keep 4, confirm 2", ("cached_3", "cached_10", "cached_30"), 4, 2
    )
    assert found["ladder of cached, 3% alone, confirm 3"].rungs == ("cached_3",)
    mixed = [variant for name, variant in found.items() if "mixed" in name]
    # 3% to 1 epoch of 12 to 4 epochs grow by 2.8 and 4; 2 epochs would only double.
    assert {variant.rungs for variant in mixed if variant.rungs[0] == "cached_3"} == {
        ("cached_3", "full_1", "full_4"),
        ("cached_3", "full_4"),
    }
    assert "ladder of mixed rungs, 3% of random then 1 epoch then 4 epochs" in found
    assert len(found) == 1 + 3 * 6 + 9 * 2 + 2 * 4  # the default, which keeps one in nine


@pytest.mark.parametrize(
    ("ladder", "name"),
    [
        ({}, "ladder of cached, 3% then 30%, keep 9, confirm 2"),
        ({"confirm": None}, "ladder of cached, 3% then 30%, keep 9, confirm 2"),
        ({"confirm": 1}, "ladder of cached, 3% then 30%, keep 9"),
        (
            {"train_on": "random", "fractions": [0.03, 0.1, 0.3], "keep": 3, "confirm": 1},
            "ladder of random",
        ),
        (
            {"train_on": "random", "fractions": [0.03, 0.3], "keep": 4, "confirm": 1},
            "ladder of random, 3% then 30%, keep 4",
        ),
        ({"keep": 3, "confirm": 2}, "ladder of cached, 3% then 30%, confirm 2"),
        ({"epochs": [1, 4]}, "ladder of full, 1 epoch then 4 epochs, keep 9, confirm 2"),
        (
            {"keep": 3, "confirm": 1, "rungs": [{"fraction": 0.1, "epochs": None}, {"epochs": 4}]},
            "ladder of mixed rungs, 10% of cached (replay) then 4 epochs",
        ),
        ({"fractions": [0.05, 0.3]}, None),
        ({"train_on": "gradmatch"}, None),
        ({"train_on": "random", "warm": True}, None),
    ],
)
def test_the_sweeps_own_ladder_is_found_among_what_was_recorded(
    ladder: dict[str, object], name: str | None
) -> None:
    found = own(**ladder)
    assert (found.name if found else None) == name
    if found:
        assert found in variants(RECORDED, {"tune": {"ladder": ladder}})


def test_the_default_is_that_of_the_searches_themselves() -> None:
    """Analysis imports nothing of tune_select, so it repeats the defaults."""
    config = LadderConfig()
    assert (config.fractions, config.train_on) == (
        list(DEFAULT["fractions"]), DEFAULT["train_on"],
    )  # fmt: skip
    for rules in (config.rules(), Rules(3)):
        assert (rules.keep, rules.rank_by, rules.confirm) == (
            DEFAULT["keep"], DEFAULT["rank_by"], DEFAULT["confirm"],
        )  # fmt: skip


def test_what_ranks_is_what_the_sweep_says_or_the_default() -> None:
    assert ranks_of({}) == "both"
    assert ranks_of({"tune": {"ladder": None}}) == "both"
    assert ranks_of({"tune": {"ladder": {"rank_by": "loss"}}}) == "loss"
    assert ranks_of({"tune": {"ladder": {"rank_by": "accuracy"}}}) == "metric"
