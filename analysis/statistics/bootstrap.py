"""Paired bootstrap intervals over configurations and training seeds.

What is resampled, and nothing else:

- five configurations or more: configurations with replacement, each with all its seeds; where there
  are several training seeds also seeds with replacement, each with all its configurations. The two
  deviations are added. A single trial's noise would count in both, so the second is shrunk by the
  part of its variance that resampling seeds within single configurations explains;
- fewer configurations but several seeds: the seeds within each configuration, the configurations
  held fixed, so that the interval speaks of these configurations alone;
- less than that: nothing, and there is no interval.

Values that were themselves only sampled, such as an accuracy on a part of the validation split,
come with their standard errors: each resampled value is moved by a normal draw of that size. Errors
are drawn one by one, although all trials see the same part and err together: such intervals err on
the wide side.

All arms always take the same cells (paired). Deviations are inflated by sqrt(n / (n - 1)) and
percentiles taken at the levels of Student's t (the expanded percentile interval, Hesterberg, 2015,
section 5.3; degrees of freedom of the sum by Satterthwaite): plain percentiles of ten units cover
some 90% where they say 95%. Three seeds have ten distinct resamples, of which no percentile is as
far out as Student's t with two degrees of freedom: where seeds vary more than configurations, such
intervals covered 81 to 92%. So of the seeds the variance alone is taken, as a normal deviation, and
where there are several, the nominal percentiles of the sum are stretched by t over z in place of
going further out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""From values (..., A, C, S) to numbers (...); NaN where undefined."""

MIN_CONFIGURATIONS = 5
"""Resampling fewer than five units cannot cover: even their whole range misses too often."""

_MIN_DEGREES = 4
_BLOCK_CELLS = 2_000_000  # resampled at once: bounds memory to some tens of MB


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval; limits are NaN where none can be given.

    Attributes:
        estimate: The estimate, on the data as they are.
        low: Lower limit.
        high: Upper limit.
        level: Nominal coverage.
        resampled: What was resampled, in words; empty where nothing could be.
    """

    estimate: float
    low: float = math.nan
    high: float = math.nan
    level: float = 0.95
    resampled: str = ""

    @property
    def known(self) -> bool:
        """Whether there is an interval at all."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def resampled_units(configurations: int, seeds: int) -> str:
    """In words, what is resampled of so many configurations and seeds; empty: too few."""
    if configurations >= MIN_CONFIGURATIONS:
        more = f" and {seeds} training seeds" if seeds > 1 else ", one training seed"
        return f"{configurations} configurations{more}"
    if configurations * (seeds - 1) >= _MIN_DEGREES:
        within = "each of {configurations} fixed configurations"
        one = "the one configuration"
        where = one if configurations == 1 else within.format(configurations=configurations)
        return f"{seeds} training seeds within {where}"
    return ""


def paired_bootstrap(
    statistic: Statistic,
    cube: Array,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    errors: Array | None = None,
) -> Interval:
    """A statistic of all arms with its interval.

    Args:
        statistic: Takes many samples at once, (B, A, C, S) -> (B,); NaN where it is undefined.
        cube: Float64 (A, C, S), NaN where a trial is missing.
        level: Nominal coverage.
        resamples: Bootstrap samples of each kind.
        seed: The seed of the resampling; the same data give the same interval.
        bounds: The statistic's range, which the limits never leave.
        errors: Standard errors (A, C, S) of the values; NaN, as 0, for none.

    Raises:
        ValueError: ``level`` is outside (0, 1), ``cube`` has not three axes, or ``errors`` has
            another shape.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    if cube.ndim != 3:
        raise ValueError(f"cube must be (arms, configurations, seeds), got shape {cube.shape}")
    if errors is not None and errors.shape != cube.shape:
        raise ValueError(f"errors must have the shape of cube, {cube.shape}, got {errors.shape}")
    estimate = float(statistic(cube[None])[0]) if cube.size else math.nan
    units = resampled_units(cube.shape[1], cube.shape[2]) if cube.size else ""
    if not units or not math.isfinite(estimate):
        return Interval(estimate, level=level)
    rng = np.random.default_rng(seed)
    sampled = _Sampled(cube, None if errors is None else np.nan_to_num(errors), seed)
    found = _deviations(statistic, sampled, estimate, resamples, rng)
    if found is None:
        return Interval(estimate, level=level)
    deviations, degrees = found
    tail = (1 - level) / 2
    if cube.shape[1] >= MIN_CONFIGURATIONS and cube.shape[2] > 1:
        deviations = deviations * float(stats.t.ppf(tail, degrees) / stats.norm.ppf(tail))
    else:
        tail = float(stats.norm.cdf(stats.t.ppf(tail, degrees)))
    low, high = np.clip(estimate + np.quantile(deviations, [tail, 1 - tail]), *bounds)
    return Interval(estimate, float(low), float(high), level, units)


class _Sampled:
    """Values (A, C, S) to draw from, moved by their errors (A, C, S) where they have any."""

    def __init__(self, cube: Array, errors: Array | None, seed: int) -> None:
        self.cube = cube
        self._errors = errors if errors is not None and errors.any() else None
        # A stream of its own: where there are no errors, intervals stay what they were.
        self._noise = np.random.default_rng([seed, 1])

    def at(self, configurations: Any, seeds: Any) -> Array:
        """Draws (B, A, C, S) by their numbers; axis 1 of the gathered arrays is the draw."""
        drawn = self.cube[:, configurations, seeds]
        if self._errors is not None:
            own = self._errors[:, configurations, seeds]
            drawn = drawn + own * self._noise.standard_normal(drawn.shape)
        return np.moveaxis(drawn, 1, 0)


def _deviations(
    statistic: Statistic,
    sampled: _Sampled,
    estimate: float,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[Array, float] | None:
    """Inflated deviations from the estimate, and their degrees of freedom."""
    cube = sampled.cube
    _, c, s = cube.shape
    block = max(1, min(resamples, _BLOCK_CELLS // (c * c + cube.size)))

    def draw(sample: Callable[[int], Array]) -> Array | None:
        sizes = [min(block, resamples - done) for done in range(0, resamples, block)]
        draws = np.concatenate([statistic(sample(size)) for size in sizes]) - estimate
        finite = np.isfinite(draws)
        # Undefined on most samples: an interval of the rest would mislead.
        return draws[finite] if finite.mean() >= 0.5 else None

    def rows(size: int) -> Array:
        return sampled.at(rng.integers(c, size=(size, c)), slice(None))

    def columns(size: int) -> Array:  # without the errors, which the rows have moved already
        return np.moveaxis(cube[:, :, rng.integers(s, size=(size, s))], 2, 0)

    def cells(size: int) -> Array:
        return sampled.at(np.arange(c)[:, None], rng.integers(s, size=(size, c, s)))

    if c < MIN_CONFIGURATIONS:
        by_cell = draw(cells)
        return None if by_cell is None else (by_cell * math.sqrt(s / (s - 1)), c * (s - 1))
    by_row = draw(rows)
    if by_row is None:
        return None
    by_row = by_row * math.sqrt(c / (c - 1))
    if s == 1:
        return by_row, c - 1
    # Two ways: with configuration effects a, seed effects b and single trials' noise e, resampling
    # rows moves a mean by var(a) / C + var(e) / CS, and resampling columns by
    # var(b) / S + var(e) / CS: their sum counts the noise twice. Seeds drawn anew within each cell
    # move it by (var(b) + var(e)) / CS. Less that, the columns are left with
    # var(b) / S (1 - 1 / C), which is the seeds' own part and none of the noise.
    by_column, by_cell = draw(columns), draw(cells)
    if by_column is None or by_cell is None:
        return by_row, c - 1
    columns_own = max(0.0, float(by_column.var() - by_cell.var())) * s / (s - 1)
    total = float(by_row.var()) + columns_own
    # Satterthwaite: the degrees of freedom of a combination of variances. The seeds' own part is
    # as uncertain as what it was taken from, also where nothing is left of it.
    spread = float(by_row.var()) ** 2 / (c - 1)
    spread += (float(by_column.var()) * s / (s - 1)) ** 2 / (s - 1)
    degrees = total**2 / spread if spread > 0 else c - 1
    # Of what is left after the subtraction that can be next to none, at which Student's t has no
    # scale at all; a sum of independent variances never has fewer than its poorest part.
    degrees = max(degrees, min(c, s) - 1)
    return by_row + math.sqrt(columns_own) * rng.standard_normal(len(by_row)), float(degrees)


def mean_difference(cube: Array) -> Array:
    """Mean over cells of arm 0 minus arm 1, (..., A, C, S) -> (...); NaN cells left out."""
    difference = cube[..., 0, :, :] - cube[..., 1, :, :]
    finite = np.isfinite(difference)
    count = finite.sum(axis=(-2, -1))
    total = np.where(finite, difference, 0.0).sum(axis=(-2, -1))
    return np.asarray(total / np.where(count > 0, count, np.nan))
