from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from trainables.loop.epoch_records import EpochRecords

NAME = "rows.parquet"


def rows(epoch: int, value: float) -> pa.Table:
    return pa.table({"epoch": [epoch, epoch], "value": [value, -value]})


def records(folder: Path) -> EpochRecords:
    return EpochRecords(pyarrow.fs.LocalFileSystem(), str(folder), NAME)


def test_epochs_are_appended_and_repeated_ones_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when needed"
    first = records(folder)
    for epoch in (1, 2, 3):
        first.append(rows(epoch, float(epoch)))
    # Restored after epoch 1 in a new process: epochs 2 and 3 did not happen.
    records(folder).append(rows(2, 20.0))
    assert pq.read_table(folder / NAME).to_pydict() == {
        "epoch": [1, 1, 2, 2],
        "value": [1.0, -1.0, 20.0, -20.0],
    }
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_any_filesystem_will_do(tmp_path: Path) -> None:
    inner = pyarrow.fs.SubTreeFileSystem(str(tmp_path), pyarrow.fs.LocalFileSystem())
    EpochRecords(inner, "trial/", NAME).append(rows(1, 1.0))
    assert (tmp_path / "trial" / NAME).exists()
