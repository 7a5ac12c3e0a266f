import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis import load
from analysis.questions.ladder.anytime import MOST_LADDERS, regret_curves
from analysis.questions.ladder.contest import (
    AHEAD,
    BEHIND,
    UNSURE,
    WINS,
    contest_sentences,
    contest_table,
    outcome,
)
from analysis.questions.ladder.replayed import LADDER, PATH, RIVAL, Replay
from analysis.statistics.bootstrap import Interval
from tests.analysis.hand_sweep import write_hand_sweep

SHAPE = (40, 3)


CONFIGURATIONS = 10


def replay(
    name: str,
    cost: float,
    regret: float,
    by: str = "metric",
    *,
    drawn: bool = False,
    own: bool = False,
) -> Replay:
    """Replays whose regret swings about its mean, the same way for all."""
    rng = np.random.default_rng(0)
    swing = rng.uniform(0.5, 1.5, (SHAPE[0], 1)) * np.ones(SHAPE)
    swing /= swing.mean()
    members = rng.permuted(np.tile(np.arange(CONFIGURATIONS) > 1, (SHAPE[0], 1)), axis=1)
    path = np.full((len(PATH), *SHAPE), np.nan)
    path[cost / 2 <= PATH] = regret
    return Replay(
        name,
        LADDER if name.startswith("ladder") else RIVAL,
        by,
        regret * swing,
        {"seconds": np.full(SHAPE, cost)},
        "seconds",
        path if drawn else path[:0],
        members,
        own,
    )


RIVALS = [replay("ASHA, eta 3", 0.2, 0.004), replay("random search, 100% trained", 1.0, 0.001)]


def test_the_rivals_are_the_best_at_its_cost_and_the_cheapest_at_its_regret() -> None:
    table = contest_table([replay("ladder of random", 0.2, 0.0015), *RIVALS])
    (row,) = table.to_dict("records")
    assert row["rival_at_cost"] == "ASHA, eta 3"
    assert row["regret_ratio"] == pytest.approx(0.375)
    assert row["rival_at_regret"] == "random search, 100% trained"
    assert row["cost_ratio"] == pytest.approx(0.2)
    assert row["outcome"] == WINS
    assert row["gain"] == pytest.approx(0.0025)
    assert 0 < row["gain_low"] < row["gain"] < row["gain_high"]


def test_the_ladder_that_shows_best_comes_first() -> None:
    ladders = [replay("ladder of random", 0.5, 0.003), replay("ladder of cached", 0.2, 0.001)]
    assert contest_table([*ladders, *RIVALS])["strategy"].tolist() == [
        "ladder of cached",
        "ladder of random",
    ]


def test_a_price_that_no_rival_has_and_a_regret_that_none_reaches() -> None:
    (cheap,) = contest_table([replay("ladder of random", 0.1, 0.01), *RIVALS]).to_dict("records")
    assert math.isnan(cheap["regret_ratio"])
    assert cheap["rival_at_regret"] == "ASHA, eta 3"
    assert cheap["outcome"] == WINS
    (close,) = contest_table([replay("ladder of random", 0.9, 0.0005), *RIVALS]).to_dict("records")
    assert close["cost_ratio"] == 0.0
    assert not isinstance(close["rival_at_regret"], str)


@pytest.mark.parametrize(
    ("ratios", "limits", "said"),
    [
        ((0.5, 0.9), (0.1, 0.2), WINS),
        ((0.9, 0.4), (0.1, 0.2), WINS),
        ((0.4, 0.4), (-0.1, 0.2), UNSURE),
        ((1.0, 3.0), (0.0, 0.0), BEHIND),
        ((0.8, 1.2), (0.1, 0.2), AHEAD),
        ((math.inf, 2.0), (-0.2, -0.1), BEHIND),
        ((1.4, 0.4), (-0.2, -0.1), BEHIND),
        ((1.0, 1.0), (math.nan, math.nan), BEHIND),
        ((math.nan, 0.7), (math.nan, math.nan), AHEAD),
        ((math.nan, math.nan), (math.nan, math.nan), ""),
    ],
)
def test_twice_as_good_or_half_as_dear_wins_beyond_the_noise(
    ratios: tuple[float, float], limits: tuple[float, float], said: str
) -> None:
    assert outcome(*ratios, Interval(0.0, *limits)) == said


def test_the_first_sentence_is_of_the_ladder_as_it_is_set(tmp_path: Path) -> None:
    results = load(write_hand_sweep(tmp_path))

    def said(*ladders: Replay) -> list[str]:
        replays = [*ladders, *RIVALS]
        return contest_sentences(results, contest_table(replays), replays)

    (won,) = said(replay("ladder of full, keep 4", 0.2, 0.0015, "both", own=True))
    assert won.startswith("The ladder wins the replays (40 draws")
    assert (
        "the ladder of short full trainings, keep 4 by the sum of both ranks loses 0.15 pp" in won
    )
    assert "at 20% of the cost of training all" in won
    assert "the best rival, ASHA, eta 3 by accuracy, loses 0.40 pp (difference +0.25 pp" in won
    assert won.endswith("random search, 100% trained by accuracy, costs 100%.")
    good = replay("ladder of cached", 0.2, 0.0015, "loss")
    lost, best = said(replay("ladder of random", 0.3, 0.02, "both", own=True), good)
    assert lost.startswith("A rival is ahead in the replays")
    assert "costs 20%" in lost
    assert best.startswith("Of 2 ladders against 2 rivals one shows best (the ladder wins;")
    (own,) = said(replay("ladder of random", 0.3, 0.02, "both"), replace(good, own=True))
    assert own.startswith("The ladder wins")
    (claimed,) = said(good)  # no word of "the ladder" where the sweep's own was not recorded
    assert claimed.startswith("Of 1 ladders against 2 rivals in replays, which hold none as the")
    assert "one shows best (the ladder wins; the best of so many flatters)" in claimed
    assert contest_sentences(results, contest_table([]), []) == []


def test_curves_are_those_of_the_best_ladders_by_their_default_and_of_the_rivals() -> None:
    ladders = [
        replay(f"ladder of {name}", 0.2, 0.001 * place, by, drawn=True)
        for place, name in enumerate("edcba")
        for by in ("metric", "both")
    ]
    rival = replay("HyperBand", 0.3, 0.004, drawn=True)
    curves = regret_curves([*ladders, rival, *RIVALS])
    assert list(dict.fromkeys(curves["strategy"])) == [
        *("ladder of e", "ladder of d", "ladder of c")[:MOST_LADDERS],
        "HyperBand",
    ]
    assert set(curves.loc[curves["strategy"] != "HyperBand", "by"]) == {"both"}
    own = curves[curves["strategy"] == "HyperBand"]
    assert own["cost"].min() >= 0.15
    assert own["cost"].max() <= 0.33
    assert own["regret"].tolist() == pytest.approx([0.004] * len(own))
