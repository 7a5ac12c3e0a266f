"""What a report can be asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ReportOptions:
    """Parameters of a report.

    Attributes:
        price_per_hour: List price of one trial's slot (its GPU where it has one, else its share of
            a machine) per hour; ``None`` leaves prices out.
        currency: Shown with prices.
        level: Nominal coverage of intervals.
        resamples: Bootstrap samples.
        top_k: k of the top-k recall.

    Raises:
        ValueError: A number is out of its range.
    """

    price_per_hour: float | None = None
    currency: str = "USD"
    level: float = 0.95
    resamples: int = 2000
    top_k: int = 3

    def __post_init__(self) -> None:
        price = self.price_per_hour
        if price is not None and not (math.isfinite(price) and price >= 0):
            raise ValueError(f"price_per_hour must be a finite number >= 0, got {price}")
        if not 0 < self.level < 1:
            raise ValueError(f"level must be in (0, 1), got {self.level}")
        if self.resamples < 100:
            raise ValueError(f"resamples must be at least 100, got {self.resamples}")
        if self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
