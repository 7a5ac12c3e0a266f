from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from trainables.detection.histograms import (
    HISTOGRAM_FILE,
    HistogramFile,
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


def test_epochs_are_appended_and_repeated_ones_replaced(tmp_path: Path) -> None:
    layer = nn.Linear(3, 3)
    parameters = matching_parameters(layer, ["weight"])

    def write(file: HistogramFile, epoch: int) -> None:
        file.append(parameter_histograms(parameters, epoch, bins=4))

    local = pyarrow.fs.LocalFileSystem()
    file = HistogramFile(local, str(tmp_path))
    for epoch in (1, 2, 3):
        write(file, epoch)
    # Restored after epoch 1 in a new process, with other weights.
    nn.init.constant_(layer.weight, 5.0)
    write(HistogramFile(local, str(tmp_path)), 2)
    frame = pq.read_table(tmp_path / HISTOGRAM_FILE).to_pandas()
    assert frame["epoch"].tolist() == [1, 2]
    assert frame["low"].tolist()[1] == 5.0
    assert frame["low"].tolist()[0] < 1.0
    assert [path.name for path in tmp_path.iterdir()] == [HISTOGRAM_FILE]
