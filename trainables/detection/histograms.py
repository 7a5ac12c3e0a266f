"""Per-epoch histograms of a model's parameters, to be recorded in the trial's results folder.

Cai et al., A.2 and Figs. 9-10, watch the weights of a layer of SSD's backbone over a training with
and without Selective-Backprop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pyarrow as pa
import torch
from torch import nn

HISTOGRAM_FILE = "histograms.parquet"
BINS = 64

_SCHEMA = pa.schema(
    [
        ("epoch", pa.int32()),
        ("layer", pa.string()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("counts", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True)
class Histogram:
    """How often a parameter's entries fall into equal bins.

    Attributes:
        epoch: Finished epochs.
        layer: The parameter's name in the model.
        low: Smallest entry, the left edge of the first bin.
        high: Largest entry, the right edge of the last bin.
        counts: The counts per bin.
    """

    epoch: int
    layer: str
    low: float
    high: float
    counts: tuple[int, ...]


def matching_parameters(model: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Parameter]:
    """Parameters whose names fit any of some patterns with ``*`` and ``?``.

    Raises:
        ValueError: A pattern fits none.
    """
    parameters = dict(model.named_parameters())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in parameters):
            some = ", ".join(list(parameters)[:3])
            raise ValueError(
                f"histograms: no parameter's name fits {pattern!r}; names look like {some}"
            )
    return {n: p for n, p in parameters.items() if any(fnmatchcase(n, x) for x in patterns)}


def parameter_histograms(
    parameters: dict[str, nn.Parameter], epoch: int, bins: int = BINS
) -> list[Histogram]:
    """A histogram of each parameter over its own range; ``high`` equals ``low`` if constant.

    Args:
        parameters: Names with tensors.
        epoch: Written beside each row.
        bins: Number of equal bins.
    """
    results = []
    for name, parameter in parameters.items():
        values = parameter.detach().float().flatten().cpu()
        low, high = float(values.min()), float(values.max())
        counts = torch.histc(values, bins, low, high if high > low else low + 1.0)
        results.append(
            Histogram(epoch, name, low, high, tuple(int(count) for count in counts.tolist()))
        )
    return results


def histogram_rows(histograms: Sequence[Histogram]) -> pa.Table:
    """As a table, for ``EpochRecords``."""
    return pa.Table.from_pylist([vars(histogram) for histogram in histograms], schema=_SCHEMA)
