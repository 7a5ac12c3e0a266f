"""The executive sentence: did replay beat random batches of the same size beyond the noise?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.questions.baselines import (
    BETTER,
    UNKNOWN,
    WORSE,
    outcome_of,
    random_arm,
    random_choice,
)
from analysis.questions.headline import replays
from analysis.questions.ladder.climb import climbed
from analysis.results.load import Results
from analysis.results.outcomes import USABLE
from analysis.statistics.bootstrap import Interval, mean_difference, paired_bootstrap
from analysis.statistics.cube import panel, shared
from analysis.statistics.ranking import tau_of
from analysis.words import arm_name, difference, minus


@dataclass(frozen=True)
class Verdict:
    """What the sweep says about replay against random subsets.

    Attributes:
        outcome: ``better``, ``worse``, ``no difference`` (the interval holds zero), or ``unknown``
            (an arm is missing, or there is no interval).
        sentence: The sentence in plain words; one sentence, or none where the question is not
            asked.
        details: What was compared, on how much, and how either ranked the configurations.
        accuracy: Mean paired difference of the test metric, replay minus random, signed so that
            positive is better; ``None`` where nothing can be compared.
        tau: Difference of the two arms' Kendall's tau against full training, likewise.
        random_arm: The baseline compared with.
    """

    outcome: str
    sentence: str
    details: str = ""
    accuracy: Interval | None = None
    tau: Interval | None = None
    random_arm: str | None = None


def verdict(
    results: Results, *, replay: str = "cached", level: float = 0.95, resamples: int = 2000
) -> Verdict:
    """Compare the replaying arm with random subsets of the same size.

    Args:
        results: The results of one sweep.
        replay: The replaying arm; where the sweep has no arm of this name, its first that replays.
        level: Coverage of the intervals.
        resamples: The resamples of the bootstrap.
    """
    arms = results.arms()
    replaying = [arm for arm in arms if replays(results, arm)]
    replay = replay if replay in arms else (replaying[0] if replaying else replay)
    if replay not in arms:
        return Verdict(UNKNOWN, "No arm replayed a history, so nothing can be said about replay.")
    baseline = random_arm(results, replay)
    if baseline is None and climbed(results)["arm"].eq(replay).any():
        # What a ladder bought is asked of its rivals, and it takes no arms beside its rungs.
        return Verdict(UNKNOWN, "")
    if baseline is None:
        return Verdict(
            UNKNOWN,
            "Whether replay beats random batches of the same size cannot be said: the sweep has no "
            f"random arm of {arm_name(replay)}'s size. Add random_pb to arms.",
        )
    both = results.search[results.search["arm"].isin([replay, baseline])]
    if both["outcome"].isin(USABLE).any() and both["test"].isna().all():
        return Verdict(
            UNKNOWN,
            f"Whether replay beats random batches was not asked: {arm_name(replay)} and "
            f"{arm_name(baseline)} did not look at the test split.",
        )
    cube = shared(panel(results, "test", [replay, baseline]).values) * results.sign
    if not cube.size:
        return Verdict(
            UNKNOWN,
            f"Whether replay beats random batches cannot be said: {arm_name(replay)} and "
            f"{arm_name(baseline)} share no configuration and seed that both finished.",
            random_arm=baseline,
        )
    accuracy = paired_bootstrap(mean_difference, cube, level=level, resamples=resamples)
    tau = _tau_difference(results, replay, baseline, level, resamples)
    outcome = outcome_of(accuracy)
    size = _size(cube.shape[1], cube.shape[2])
    details = f"Compared are {arm_name(replay)} and {arm_name(baseline)} over {size}"
    if outcome == UNKNOWN:
        details += "; an interval needs at least 5 configurations, or several seeds."
    elif accuracy.resampled == size:
        details += ", both of which the interval resamples."
    else:
        details += f"; the interval resamples {accuracy.resampled}."
    if tau is not None:
        details += " " + _tau_sentence(replay, baseline, tau)
    if chosen := random_choice(results, replay):
        details += " " + chosen
    return Verdict(outcome, _sentence(results, outcome, accuracy), details, accuracy, tau, baseline)


def _size(configurations: int, seeds: int) -> str:
    return (
        f"{configurations} configuration{'s' if configurations > 1 else ''} and {seeds} training "
        f"seed{'s' if seeds > 1 else ''}"
    )


def _tau_difference(
    results: Results, replay: str, baseline: str, level: float, resamples: int
) -> Interval | None:
    """Tau(replay, full) - tau(random, full), both on the same resampled configurations."""
    if "full" not in results.arms() or results.selection_only:
        return None
    sign = results.sign
    arms = [replay, baseline, "full"]
    scores = panel(results, "val", arms, worst=-sign * math.inf).values
    errors = np.nan_to_num(panel(results, "val_error", arms).values)
    cube, errors = np.split(shared(np.concatenate([scores * sign, errors]), of=3), 2)
    if cube.size == 0 or cube.shape[1] < 2:
        return None
    return paired_bootstrap(
        lambda c: tau_of(c[:, [0, 2]]) - tau_of(c[:, [1, 2]]),
        cube,
        level=level,
        resamples=resamples,
        bounds=(-2.0, 2.0),
        errors=errors,
    )


def _sentence(results: Results, outcome: str, accuracy: Interval) -> str:
    mean = difference(results, accuracy.estimate)
    metric = f"mean test {results.metric.replace('_', ' ')}"
    if outcome == UNKNOWN:
        return (
            "These data cannot tell whether replay beats random batches of the same size: the "
            f"difference is {mean} in {metric}, and so few runs allow no interval for the noise."
        )
    start = {
        BETTER: "Replay beat random batches of the same size beyond the noise",
        WORSE: "Replay was worse than random batches of the same size, beyond the noise",
    }.get(outcome, "Replay did not beat random batches of the same size beyond the noise")
    return (
        f"{start}: {mean} in {metric} ({round(100 * accuracy.level)}% interval "
        f"{difference(results, accuracy.low)} to {difference(results, accuracy.high)})."
    )


def _tau_sentence(replay: str, baseline: str, tau: Interval) -> str:
    if not math.isfinite(tau.estimate):
        return "How well either ranked the configurations cannot be compared."
    start = f"In ranking the configurations as full training does, {arm_name(replay)}"
    against = f"{arm_name(baseline)} (difference in Kendall's tau {minus(f'{tau.estimate:+.2f}')}"
    if not tau.known:
        return f"{start} and {against}) cannot be told apart: too few runs for an interval."
    if tau.estimate == tau.low == tau.high == 0:
        return "Both ranked the configurations equally well (Kendall's tau against full training)."
    limits = f", interval {minus(f'{tau.low:+.2f} to {tau.high:+.2f}')})"
    word = {BETTER: "did better than", WORSE: "did worse than"}.get(
        outcome_of(tau), "showed no difference beyond the noise from"
    )
    return f"{start} {word} {against}{limits}."
