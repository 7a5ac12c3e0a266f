from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from trainables.detection.histograms import (
    histogram_rows,
    matching_parameters,
    parameter_histograms,
)


def test_counts_equal_numpys() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 5))
    parameters = matching_parameters(model, ["*.weight"])
    assert list(parameters) == ["0.weight", "1.weight"]
    for row in parameter_histograms(parameters, epoch=3, bins=16):
        values = parameters[row.layer].detach().double().numpy()
        counts, edges = np.histogram(values, bins=16, range=(row.low, row.high))
        assert (edges[0], edges[-1]) == (values.min(), values.max())
        assert sum(row.counts) == values.size
        # Values within rounding of an edge may fall on either side of it.
        assert np.abs(np.array(row.counts) - counts).sum() <= 2


def test_a_constant_parameter_has_one_full_bin() -> None:
    layer = nn.BatchNorm1d(8)
    (row,) = parameter_histograms(matching_parameters(layer, ["weight"]), epoch=0, bins=4)
    assert (row.low, row.high, sum(row.counts), max(row.counts)) == (1.0, 1.0, 8, 8)


def test_a_pattern_without_a_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no parameter's name fits 'layer5.*names look like weig"):
        matching_parameters(nn.Linear(2, 2), ["layer5.*"])


def test_rows_hold_what_was_counted() -> None:
    parameters = matching_parameters(nn.Linear(3, 3), ["weight", "bias"])
    rows = histogram_rows(parameter_histograms(parameters, 2, bins=4)).to_pylist()
    assert [(row["epoch"], row["layer"]) for row in rows] == [(2, "weight"), (2, "bias")]
    assert [sum(row["counts"]) for row in rows] == [9, 3]
