"""Whether a search has anything left to gain: would more configurations change its answer?

Nothing here knows a distribution of configurations. What is used is exchangeability: where the next
configurations come from where the last ones came from (random search, a shuffled grid), the split
of C + m configurations into C seen and m to come is a random one. So is a split of those seen into
a part and a rest of the same proportions, and on that split the gain can be read off: the rest's
best against the part's best. Without noise the chance that the best of all is still to come is then
m / (C + m), exactly as it must be, and how much is won there is read off the gaps at the top.

Two things err on the side of going on. The gaps of a part are those of a smaller sample, which
nowhere are closer than those of a larger one (they are equal for an exponential tail and wider for
a bounded one, such as an accuracy's); and a searcher that learns finds better ones than a random
split says only early on. Training seeds are resampled with the split, the same draw for all
configurations (paired), so that a gain that other seeds would not show is not counted as one that
is sure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.statistics.bootstrap import MIN_CONFIGURATIONS
from analysis.statistics.ranking import seed_mean

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GainToCome:
    """What further configurations would still bring.

    Attributes:
        chance: The probability that they change the answer by more than ``regret``; NaN where too
            few have been seen to tell.
        expected: Mean of what they bring, in the score's unit; NaN likewise.
        regret: The change that would count, in the score's unit.
        seen: Configurations with a score that can be chosen.
        more: Further ones that are planned.
    """

    chance: float
    expected: float
    regret: float
    seen: int
    more: int

    def is_below(self, chance: float) -> bool:
        """Whether the chance is known and at most ``chance``: then the search may stop."""
        return math.isfinite(self.chance) and self.chance <= chance


def gain_to_come(
    scores: Array, *, more: int, regret: float, draws: int = 2000, seed: int = 0
) -> GainToCome:
    """The chance that ``more`` configurations would change a search's answer by over ``regret``.

    Args:
        scores: The scores of the configurations seen, float64 (C,) or, with training seeds, (C, S);
            larger is better (negate a loss), -inf for one that diverged, NaN for one that has not
            ended.
        more: How many more the search would try, at least 0.
        regret: Change of the score that counts, at least 0: 0.001 for 0.1 points of an accuracy.
        draws: Random splits, each with its own resampling of the training seeds.
        seed: The seed of the draws; the same scores give the same answer.

    Returns:
        A chance in [0, 1]; NaN with fewer than ``MIN_CONFIGURATIONS`` usable scores.

    Raises:
        ValueError: ``more``, ``regret`` or ``draws`` is out of its range, or the scores have
            neither one nor two axes.
    """
    scores = np.asarray(scores, dtype=np.float64)
    scores = scores[:, None] if scores.ndim == 1 else scores
    if scores.ndim != 2:
        raise ValueError(f"scores must be (configurations,) or (.., seeds), got {scores.shape}")
    for name, value, least in (("more", more, 0), ("regret", regret, 0), ("draws", draws, 1)):
        if not value >= least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    # One that diverged takes part in every split, as a configuration that will not be chosen.
    seen = scores[~np.isnan(scores).all(axis=1)]
    usable = int(np.isfinite(seed_mean(seen)).sum()) if len(seen) else 0
    if more == 0:
        return GainToCome(0.0, 0.0, regret, usable, 0)
    if usable < MIN_CONFIGURATIONS:
        return GainToCome(math.nan, math.nan, regret, usable, more)
    gains = _gains(seen, more, draws, np.random.default_rng(seed))
    # Rounding must not make a gain of two equal scores' means.
    chance = float((gains > regret + 1e-12).mean())
    return GainToCome(chance, float(gains.mean()), regret, usable, more)


def _gains(scores: Array, more: int, draws: int, rng: np.random.Generator) -> Array:
    """What the rest of a random split adds to its part, (draws,)."""
    c, s = scores.shape
    truth = seed_mean(scores)
    # The rest is C m / (C + m) on average, rounded at random, so that its share is exact.
    rest = c * more / (c + more)
    sizes = np.floor(rest + rng.random(draws)).astype(np.int64).clip(0, c - 1)
    order = rng.random((draws, c)).argsort(axis=1)  # a random permutation per draw
    in_rest = order < sizes[:, None]
    seeds = rng.integers(s, size=(draws, s))
    ranked = seed_mean(np.moveaxis(scores[:, seeds], 0, 1)) if s > 1 else truth[None]
    ranked = np.where(np.isnan(ranked), -np.inf, np.broadcast_to(ranked, (draws, c)))
    before = np.where(in_rest, -np.inf, ranked)
    first, last = before.argmax(axis=1), ranked.argmax(axis=1)
    usable = np.where(np.isfinite(truth), truth, -np.inf)
    found = usable[first]
    # A part in which all diverged has no answer: anything that the rest finds changes it.
    with np.errstate(invalid="ignore"):
        gains = np.where(np.isfinite(found), usable[last] - found, np.inf)
    finite = gains[np.isfinite(gains)]
    worst = usable[np.isfinite(usable)].max() - usable[np.isfinite(usable)].min()
    return np.where(np.isfinite(gains), gains, max(worst, finite.max(initial=0.0)))
