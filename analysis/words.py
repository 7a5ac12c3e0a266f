"""Numbers and names as people read them, the same in every table, figure and sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analysis.results.settings import label_of

if TYPE_CHECKING:
    from analysis.results.load import Results

MISSING = "–"

_ARMS = {
    "seed": "seed",
    "cached": "cached (replay)",
    "full": "full training",
    "full_early_stop": "full, stopped early",
    "gradmatch": "GradMatch",
    "gradmatch_pb": "GradMatchPB",
    "gradmatch_whole": "GradMatch, whole last layer",
    "random": "random",
    "random_once": "random, drawn once",
    "random_pb": "RandomPB",
    "craig": "CRAIG",
    "craig_pb": "CRAIGPB",
    "glister": "GLISTER",
    "facility_location": "Facility Location",
    "entropy": "Entropy",
    "forgetting": "Forgetting Events",
    "uniform": "uniform",
    "selective_backprop": "Selective-Backprop",
    "stale_selective_backprop": "Stale-SB",
    "big_loss": "Big Loss",
    "small_loss": "Small Loss",
    "gradient_norm": "Gradient Norm",
    "ada_selection": "AdaSelection",
    "gradient_matching": "Gradient matching",
    "kath18": "Kath18",
    "ada_boost": "AdaBoost",
    "coreset1": "Coresets 1",
    "coreset2": "Coresets 2",
    "selective_backprop_fixed": "Selective-Backprop, fixed size",
}


def arm_name(arm: str) -> str:
    """An arm as the papers write it; any other name as it is."""
    plain = arm.removesuffix("_warm")
    if plain != arm and plain in _ARMS:
        return f"{_ARMS[plain]}-warm"
    return _ARMS.get(arm, arm)


_STRATEGIES = {
    "ladder": "the ladder",
    "asha": "ASHA",
    "hyperband": "HyperBand",
    "optuna_asha": "Optuna with ASHA",
    "random": "random search",
}


def strategy_name(strategy: str) -> str:
    """A way to search as people write it; any other name as it is."""
    return _STRATEGIES.get(strategy, strategy)


def bar_name(arm: str, phase: str) -> str:
    """An arm's trials of one phase of the sweep."""
    return f"{arm_name(arm)} (promoted)" if phase == "promotion" else arm_name(arm)


def axis_name(axis: str) -> str:
    """A key of the space without the table it lies in: ``fraction`` of ``selection/fraction``."""
    return axis.rsplit("/", 1)[-1]


def axis_values(values: Mapping[str, Any]) -> str:
    """A configuration by its axes: ``lr = 0.1, optimizer = sgd``."""
    return ", ".join(f"{axis_name(axis)} = {label_of(value)}" for axis, value in values.items())


def metric_value(results: Results, value: float) -> str:
    """A metric: a share in per cent, anything else with four digits."""
    if not math.isfinite(value):
        return MISSING
    return f"{100 * value:.2f}%" if results.is_share else f"{value:.4g}"


def difference(results: Results, value: float) -> str:
    """A difference of metrics, signed: points for shares."""
    if not math.isfinite(value):
        return MISSING
    return minus(f"{100 * value:+.2f} pp" if results.is_share else f"{value:+.4g}")


def minus(text: str) -> str:
    """Numbers with a true minus sign, which does not break at the end of a line."""
    text = re.sub(r"[-+](0(?:\.0*)?)(?![\d.])", r"\1", text)  # neither -0.00 nor +0.00
    return text.replace("-", "\N{MINUS SIGN}")


def seconds(value: float) -> str:
    """A duration with three digits in the unit that suits it."""
    if not math.isfinite(value):
        return MISSING
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if abs(value) >= 2 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} s" if value >= 0.01 or value == 0 else f"{1000 * value:.2g} ms"


def times(value: float) -> str:
    """A ratio: 0.83×, 7.92×, 12.4×, 1,234×."""
    if not math.isfinite(value):
        return MISSING
    return f"{value:,.0f}×" if value >= 100 else f"{value:.3g}×"


def number(value: float) -> str:
    """Any other number, three digits."""
    if not math.isfinite(value):
        return MISSING
    return minus(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}")


def interval(low: float, high: float, digits: str = "{:.2f}") -> str:
    """Limits of an interval; empty when there is none.

    Args:
        low: Lower limit, or NaN.
        high: Upper limit, or NaN.
        digits: Digits after the point.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval"
    return minus(f"{digits.format(low)} to {digits.format(high)}")
