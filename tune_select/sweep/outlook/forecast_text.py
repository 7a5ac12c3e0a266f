"""A forecast for people."""

from __future__ import annotations

from collections.abc import Mapping

from tune_select.secrets import mask_uri
from tune_select.sweep.outlook.forecast import Forecast
from tune_select.sweep.outlook.time_left import Range, duration


def forecast_text(found: Forecast, price_per_hour: float | None, currency: str = "USD") -> str:
    """The forecast for people.

    Args:
        found: The forecast.
        price_per_hour: The price per hour of one GPU, or of one CPU where trials use none; ``None``
            leaves it out.
        currency: Shown with the price.
    """
    trials = len(found.jobs) + len(found.follow_up)
    beside = f", {found.beside + 1} processes at a time" if found.beside else ""
    lines = [
        f"Forecast from steps measured on this machine in {found.measured_s:.0f} s{beside} "
        f"({trials} trials, {found.slots} at a time):",
        f"  slot-seconds  {_times(found.slot_seconds)}  ({_phases_text(found.phases)})",
        f"  wall-clock    {_times(found.wall_seconds)}, without the start of Ray",
        f"  {found.device}-hours     {_numbers(found.device_hours)}",
    ]
    if price_per_hour is not None:
        low, likely, high = (hours * price_per_hour for hours in found.device_hours)
        said = f"{likely:.2f} {currency} ({low:.2f} to {high:.2f})"
        lines.append(f"  price         {said} at {price_per_hour:.2f} an hour")
    if found.elsewhere is not None:
        lines.append(
            f"  Trials will run on {mask_uri(found.elsewhere)}. Measured was this machine: there, "
            "steps take other times, and other numbers of trials run at once."
        )
    return "\n".join(lines)


def _phases_text(phases: Mapping[str, float]) -> str:
    whole = sum(phases.values()) or 1.0
    return ", ".join(f"{name} {100 * value / whole:.0f}%" for name, value in phases.items())


def _times(seconds: Range) -> str:
    low, likely, high = (duration(value) for value in seconds)
    return f"{likely} ({low} to {high})"


def _numbers(values: Range) -> str:
    low, likely, high = values
    return f"{likely:.3g} ({low:.3g} to {high:.3g})"
