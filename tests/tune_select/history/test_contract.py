"""What a history takes and what it refuses, to either side of every limit."""

from __future__ import annotations

import hashlib
import json
import platform
from collections import Counter
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tune_select.histories import DATASET, identity, interval
from tune_select.history import (
    DatasetIdentity,
    HistoryCorruptError,
    HistoryEndedError,
    HistoryError,
    HistoryIdentity,
    Interval,
    SubsetHistory,
)
from tune_select.history.folder import FolderHistory, decode_interval, encode_interval
from tune_select.history.interval import check_size
from tune_select.history.manifest import MANIFEST, Manifest, raise_if_ended
from tune_select.history.records import record_of
from tune_select.history.subsets import interval_from_state, interval_of, interval_state, subset_of


@pytest.mark.parametrize(
    ("examples", "fraction", "sizes"),
    [
        (1000, 0.05, range(45, 56)),  # a tenth of 50 more or less
        (1000, 0.002, range(1, 4)),  # one more or less of two
        (1000, 0.0001, range(2)),
        (5, 1.0, range(4, 6)),  # never more than there are
        (100, 1.0, range(90, 101)),
    ],
)
def test_a_subset_has_the_size_of_its_fraction_or_a_tenth_more_or_less(
    examples: int, fraction: float, sizes: range
) -> None:
    for size in sizes:
        check_size(size, examples, fraction, "here")
    for size in {*range(2 * examples)} - {*sizes}:
        with pytest.raises(ValueError, match=f"here has {size} examples"):
            check_size(size, examples, fraction, "here")


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": np.arange(950, 1000)},
        {"indices": np.arange(50)},
        {"weights": np.array([0.0] * 25 + [2.0] * 25)},
        {"weights": np.full(50, 1.0009)},
        {"batches": np.zeros(50)},
        {"filled": 50},
        {"gradient_error": 0.0, "random_gradient_error": 0.0, "select_s": 0.0},
        {"gradient_error": float("nan"), "random_gradient_error": float("inf")},
    ],
)
def test_what_lies_on_the_limits_is_taken(changes: dict[str, Any], tmp_path: Path) -> None:
    history = FolderHistory(str(tmp_path))
    history.begin(identity())
    written = replace(interval(0), **changes)
    assert history.publish(written)
    read = history.read(0, 0)
    assert read is not None
    assert read.same_content(written)
    assert (read.filled, read.select_s) == (written.filled, written.select_s)
    for name in ("gradient_error", "random_gradient_error"):
        value = getattr(written, name)
        known = value is not None and np.isfinite(value)
        assert getattr(read, name) == (value if known else None)


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": np.arange(951, 1001)},
        {"indices": np.arange(-1, 49)},
        {"weights": np.full(50, 1.0011)},
        {"weights": np.full(50, 0.9989)},
        {"weights": np.full((50, 1), 1.0)},
        {"indices": np.arange(50)[:, None], "weights": np.ones((50, 1))},
        {"indices": np.arange(0), "weights": np.ones(0)},
        {"batches": np.zeros(49)},
        {"filled": -1},
        {"select_s": -0.1},
        {"random_gradient_error": -0.1},
        {"number": -1},
        {"start": 1},
    ],
)
def test_what_lies_beyond_them_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="interval"):
        replace(interval(0), **changes).check(identity())


def test_identities_on_the_limits_are_taken() -> None:
    assert identity(fraction=1.0).fractions == (1.0,)
    assert identity(rungs=(0.5, 1.0)).fractions == (0.05, 0.5, 1.0)
    assert identity(select_every=1, max_epochs=1).interval_count == 1
    assert identity(warm_start_epochs=9).interval_count == 1
    with pytest.raises(ValueError, match="max_epochs must exceed warm_start_epochs"):
        identity(warm_start_epochs=10)
    with pytest.raises(HistoryEndedError, match="nothing for epoch 10"):
        identity().interval_at(10)
    assert identity().interval_at(9) == 2
    with pytest.raises(ValueError, match="align must be"):
        identity().interval_at(0, align="steps")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs max_epochs"):
        identity().interval_at(0, align="progress")


@pytest.mark.parametrize(
    "changes",
    [
        {"fraction": 0.1}, {"rungs": (0.5,)}, {"select_every": 5}, {"max_epochs": 11},
        {"warm_start_epochs": 1}, {"algorithm": "craig"}, {"settings": {"a": 1}},
        {"dataset": replace(DATASET, size=999)}, {"dataset": replace(DATASET, fingerprint="beef")},
        {"seed_config": {"arm": "seed", "learning_rate": 0.1, "seed": 1}}, {"seed_config": {}},
    ],
)  # fmt: skip
def test_whatever_differs_between_two_seeds_is_named(changes: dict[str, Any]) -> None:
    mine, theirs = identity(), identity(**changes)
    expected = 2 if changes == {"seed_config": {}} else 1
    assert len(mine.differences(theirs)) == len(theirs.differences(mine)) == expected
    moved = {"history": "h", "device": "cuda", "amp": True, "data": {"root": "r"}}
    both = {**mine.seed_config, **moved}
    assert mine.differences(identity(seed_config=both)) == []
    assert mine.differences(identity(dataset=replace(DATASET, name="another"))) == []


def test_settings_are_kept_as_json_gives_them_back() -> None:
    found = identity(
        settings={
            "number": np.float32(0.5), "flag": np.bool_(True), "list": np.arange(3), "pair": (1, 2),
            "table": MappingProxyType({"a": 1}), "place": PurePosixPath("a/b"), "kind": Interval,
            "thing": Counter, "other": object(),
        }
    ).settings  # fmt: skip
    assert found == {
        "number": 0.5, "flag": True, "list": [0, 1, 2], "pair": [1, 2], "table": {"a": 1},
        "place": "a/b", "kind": "tune_select.history.interval.Interval",
        "thing": "collections.Counter", "other": "builtins.object",
    }  # fmt: skip


def test_a_manifest_says_what_wrote_it(tmp_path: Path) -> None:
    FolderHistory(str(tmp_path)).begin(identity())
    written = json.loads((tmp_path / MANIFEST).read_text())
    assert written["versions"]["python"] == platform.python_version()
    for name in ("torch", "numpy", "pyarrow"):
        assert written["versions"][name] == version(name)
    assert set(written["versions"]) == {"python", "tune-select", "torch", "numpy", "pyarrow", "ray"}


@pytest.mark.parametrize("batched", [False, True])
def test_a_file_of_several_row_groups_is_one_of_ours(batched: bool) -> None:
    """As PyArrow writes a subset of more than a million examples."""
    whole = interval(0, batches=np.arange(50) % 3 if batched else None)
    record = record_of(whole, {None: "0" * 64})
    table = pq.read_table(pa.BufferReader(encode_interval(whole)))

    def rewritten(columns: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(columns, sink, row_group_size=20)
        return bytes(sink.getvalue())

    assert decode_interval(rewritten(table), record, None, "there").same_content(whole)
    more = table.append_column("more", pa.array(range(50))).append_column("x", pa.array(range(50)))
    with pytest.raises(HistoryCorruptError, match=r"claims 1[25] column chunks|has columns"):
        decode_interval(rewritten(more), record, None, "there")


def test_older_manifests_do_not_say_whether_batches_are_whole(tmp_path: Path) -> None:
    """Then the files do, all of them alike."""
    mixed = [interval(0), interval(1, batches=np.zeros(50)), interval(2)]
    for name, intervals in (("one", [interval(n) for n in range(3)]), ("mixed", mixed)):
        folder = tmp_path / name
        SubsetHistory(identity(), [interval(n) for n in range(3)], True).save(folder)
        content = json.loads((folder / MANIFEST).read_text())
        for row, held in zip(content["intervals"], intervals, strict=True):
            (folder / row["file"]).write_bytes(encode_interval(held))
            row["sha256"] = hashlib.sha256(encode_interval(held)).hexdigest()
            del row["batched"]
        (folder / MANIFEST).write_text(json.dumps(content))
    assert SubsetHistory.load(tmp_path / "one").complete
    with pytest.raises(HistoryCorruptError, match="some of its intervals hold whole batches"):
        SubsetHistory.load(tmp_path / "mixed")


def test_only_a_complete_history_has_ended() -> None:
    records = tuple(record_of(interval(number), {None: "0" * 64}) for number in range(3))
    whole = Manifest(identity(), records, complete=True)
    raise_if_ended(whole, 2, "there")
    raise_if_ended(replace(whole, complete=False), 3, "there")
    with pytest.raises(HistoryEndedError, match="there is complete with 3 intervals"):
        raise_if_ended(whole, 3, "there")
    with pytest.raises(ValueError, match="one file for two"):
        Manifest(
            identity(), (records[0], records[1].model_copy(update={"file": records[0].file}))
        ).check()
    with pytest.raises(ValueError, match="complete with 2 of 3"):
        Manifest(identity(), records[:2], complete=True).check()


@pytest.mark.parametrize("batches", [None, np.arange(50) % 4])
def test_an_interval_comes_back_from_tensors_and_from_a_checkpoint(batches: Any) -> None:
    whole = interval(1, batches=batches, random_gradient_error=0.75, filled=3)
    again = interval_from_state(interval_state(whole))
    through = interval_of(
        replace(subset_of(whole), filled=3), 1, (4, 8),
        gradient_error=0.5, random_gradient_error=0.75, select_s=0.25,
    )  # fmt: skip
    for found in (again, through):
        assert found.same_content(whole)
        assert (found.gradient_errors(), found.select_s, found.filled) == (
            {"gradient_error": 0.5, "random_gradient_error": 0.75}, 0.25, 3,
        )  # fmt: skip
    subset_of(whole).weights[0] = -1.0
    assert whole.weights[0] != -1.0, "tensors of its own"
    older = {key: value for key, value in interval_state(whole).items() if key != "filled"}
    assert interval_from_state(older).filled == 0


def test_a_dataset_is_known_by_its_size_and_what_the_user_says() -> None:
    found = DatasetIdentity.of([1, 2, 3], name="mine", fingerprint=7)  # type: ignore[arg-type]
    assert found == DatasetIdentity("mine", 3, "7")
    assert DatasetIdentity.of([1, 2, 3]).name == "list"


def test_a_fit_is_judged_number_by_number() -> None:
    held: HistoryIdentity = identity(warm_start_epochs=2)
    for fits in ({}, {"max_epochs": 10}, {"max_epochs": 3}, {"warm_start_epochs": 2}):
        held.check_fits(DATASET, **fits)  # type: ignore[arg-type]
    for wrong in ({"max_epochs": 11}, {"warm_start_epochs": 0}, {"select_every": 3}):
        with pytest.raises(HistoryError, match=next(iter(wrong))):
            held.check_fits(DATASET, **wrong)  # type: ignore[arg-type]
        held.check_fits(DATASET, align="progress", **wrong)  # type: ignore[arg-type]
    with pytest.raises(HistoryError, match="dataset fingerprint: trial beef"):
        held.check_fits(replace(DATASET, fingerprint="beef"))
    with pytest.raises(HistoryError, match="dataset size: trial 999, history 1000$"):
        held.check_fits(replace(DATASET, size=999))


def test_no_bit_of_a_weight_is_flipped_unnoticed() -> None:
    """By the pages' own checksums: what has no pattern is stored as it is, without compression."""
    whole = interval(0)
    record, content = record_of(whole, {None: "0" * 64}), encode_interval(whole)
    weights = pq.ParquetFile(pa.BufferReader(content)).metadata.row_group(0).column(1)
    end = weights.data_page_offset + weights.total_compressed_size
    for position in range(end - 100, end, 3):
        flipped = bytearray(content)
        flipped[position] ^= 1
        with pytest.raises(HistoryCorruptError, match="not a sound Parquet file"):
            decode_interval(bytes(flipped), record, None, "there")
