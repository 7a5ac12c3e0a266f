"""What the cheap sweep cost and what its choice lost, in a few sentences below the verdict."""

from __future__ import annotations

import math

import numpy as np

from analysis.questions.baselines import BETTER, NO_DIFFERENCE, UNKNOWN, WORSE, against_random
from analysis.questions.choice import choice_cube
from analysis.questions.headline import (
    PAPERS,
    paired_seconds,
    replays,
    seed_seconds,
    waited_speedup,
)
from analysis.questions.turns import turn_of
from analysis.results.load import Results
from analysis.statistics.cube import panel, shared
from analysis.statistics.regret import regret_of
from analysis.words import arm_name, difference, metric_value, seconds, times


def summary(results: Results) -> list[str]:
    """Cost and regret of the replaying arms against full training, as far as the data say.

    Says what cannot be said where an arm is missing. Nothing of a ladder: its rungs are compared
    with full training by what the whole ladder chose.
    """
    if len(results.strategies):
        return []
    arms = results.arms()
    if not any(replays(results, arm) for arm in arms):
        return _against_random(results)
    replaying = [arm for arm in arms if replays(results, arm)]
    if "full" not in arms:
        return [
            "Without full training in the sweep, neither a speed-up nor how well the replays "
            "ranked the configurations can be said."
        ]
    return [said for arm in replaying[:1] if (said := _sentence(results, arm))]


def _against_random(results: Results) -> list[str]:
    """Without a replay: which selectors beat random subsets."""
    table = against_random(results)
    if table.empty:
        return []
    parts = []
    for outcome in (BETTER, WORSE, NO_DIFFERENCE, UNKNOWN):
        arms = [arm_name(arm) for arm in table.loc[table["outcome"] == outcome, "arm"]]
        if arms:
            words = {UNKNOWN: "too few runs to tell"}.get(outcome, outcome)
            parts.append(f"{words}: {', '.join(arms)}")
    baselines = table["baseline"].map(arm_name).unique()
    baseline = baselines[0] if len(baselines) == 1 else "random subsets"
    metric = results.metric.replace("_", " ")
    said = [
        f"Against {baseline} of the same size, in mean test {metric} beyond the noise: "
        f"{'; '.join(parts)}."
    ]
    turns = [
        f"{arm_name(row.arm)} {turn.said(results)}"
        for row in table.itertuples()
        if (turn := turn_of(results, str(row.arm), str(row.baseline))) is not None
    ]
    if turns:
        said.append(f"These means hide turns: {'; '.join(turns)}.")
    return said


def _papers_measure(results: Results, arm: str) -> str:
    """The number that the papers would give, with what it leaves out."""
    own_s, full_s, _ = paired_seconds(results, arm, PAPERS)
    if not own_s > 0:
        return ""
    seed_s = seed_seconds(results, arm, PAPERS)
    text = (
        f"By the papers' own measure, training and selection alone, it is {times(full_s / own_s)}"
    )
    if seed_s > 0:
        text += f", {times(full_s / (own_s + seed_s))} with the seed paid for"
    return text + "."


def _sentence(results: Results, arm: str) -> str:
    own_s, full_s, pairs = paired_seconds(results, arm)
    if not pairs or own_s <= 0:
        return ""
    seed_s = seed_seconds(results, arm)
    text = (
        f"On the {pairs} pair{'s' if pairs > 1 else ''} of configuration and seed that both "
        f"finished, {arm_name(arm)} held its slots for {seconds(own_s)}"
    )
    if seed_s > 0:
        text += f" and its seed for {seconds(seed_s)}"
    text += (
        f" (training, selection, evaluation, waiting and start-up), full training for "
        f"{seconds(full_s)}: {times(waited_speedup(results, arm))} faster"
        + (", the seed paid for" if seed_s > 0 else "")
        + f". {_papers_measure(results, arm)}"
    )
    # A speed-up without what it cost in accuracy would flatter.
    tests = shared(panel(results, "test", [arm, "full"]).values)
    if tests.size:
        own, full = (metric_value(results, float(np.nanmean(values))) for values in tests)
        metric = results.metric.replace("_", " ")
        text += f" Its mean test {metric} on them is {own}, full training's {full}."
    cube = choice_cube(results, arm)
    if cube.size and cube.shape[1] > 1 and not results.selection_only:
        lost = float(regret_of(cube[None])[0])
        if math.isfinite(lost):
            what = f"full training's test {results.metric.replace('_', ' ')}"
            if lost == 0:
                text += (
                    f" It chose a configuration as good as full training's own choice in {what}."
                )
            else:
                size = difference(results, abs(lost)).lstrip("+")
                verb = "loses" if lost > 0 else "gains"
                text += (
                    f" Taking its best configuration instead of full training's {verb} {size} in "
                    f"{what}."
                )
    return text
