from __future__ import annotations

import json
import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tune_select.histories import DATASET, identity, interval
from tune_select.history import (
    DatasetIdentity,
    HistoryConflictError,
    HistoryCorruptError,
    HistoryEndedError,
    HistoryIdentity,
    HistoryMismatchError,
    HistoryMissingError,
    Interval,
    SubsetHistory,
    open_history,
)
from tune_select.history.folder import FolderHistory
from tune_select.history.manifest import MANIFEST


def finished(path: Path, of: HistoryIdentity | None = None) -> SubsetHistory:
    of = of or identity()
    history = SubsetHistory(of, [interval(i, of) for i in range(of.interval_count)], True)
    history.save(path)
    return history


@settings(max_examples=60)
@given(warm=st.integers(0, 30), every=st.integers(1, 40), more=st.integers(1, 60))
def test_the_intervals_tile_the_epochs_after_the_warm_start(
    warm: int, every: int, more: int
) -> None:
    of = identity(warm_start_epochs=warm, select_every=every, max_epochs=warm + more)
    covered = [e for i in range(of.interval_count) for e in range(*of.bounds(i))]
    assert covered == list(range(warm, warm + more))
    for epoch in range(warm + more):
        number = of.interval_at(epoch)
        if epoch < warm:
            assert number is None
        else:
            assert number is not None
            assert of.bounds(number)[0] <= epoch < of.bounds(number)[1]


@settings(max_examples=60)
@given(theirs=st.integers(1, 50), ours=st.integers(1, 200))
def test_aligned_by_progress_every_length_walks_the_whole_history_in_order(
    theirs: int, ours: int
) -> None:
    of = identity(select_every=1, max_epochs=theirs)
    walked = [of.interval_at(e, align="progress", max_epochs=ours) for e in range(ours)]
    numbers = [number for number in walked if number is not None]
    assert len(numbers) == ours
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    if ours >= theirs:
        assert set(numbers) == set(range(theirs))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fraction": 0.0}, "fraction must be in"),
        ({"fraction": 1.5}, "fraction must be in"),
        ({"select_every": 0}, "select_every must be"),
        ({"warm_start_epochs": 10}, "max_epochs must exceed warm_start_epochs"),
        ({"warm_start_epochs": -1}, "warm_start_epochs must be"),
    ],
)
def test_impossible_schedules_are_refused(changes: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        identity(**changes)


def test_a_history_reads_back_as_it_was_written(tmp_path: Path) -> None:
    of = identity(settings={"regularization": 0.5}, seed_config={"a": (1, 2), "b": np.int64(3)})
    written = SubsetHistory(of, [interval(0, of), interval(1, of)], False)
    written.save(tmp_path / "h")
    read = SubsetHistory.load(tmp_path / "h")
    assert read.identity == of
    assert not read.complete
    assert all(a.same_content(b) for a, b in zip(written.intervals, read.intervals, strict=True))
    assert read.intervals[0].select_s == 0.25
    assert read.intervals[0].gradient_error == 0.5
    assert not [p for p in (tmp_path / "h").iterdir() if p.name.startswith(".")]


@settings(max_examples=40)
@given(rows=st.integers(1, 300), batched=st.booleans(), seed=st.integers(0, 2**31), data=st.data())
def test_any_subset_survives_the_disk_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    batched: bool,
    seed: int,
    data: st.DataObject,
) -> None:
    of = identity(select_every=10, fraction=rows / 1000)
    generator = np.random.default_rng(seed)
    shares = st.floats(0, 1, width=32, allow_subnormal=False)
    drawn = np.array(data.draw(st.lists(shares, min_size=rows, max_size=rows)))
    weights = (drawn + 1e-30) / (drawn + 1e-30).mean()
    written = Interval(
        number=0,
        start=0,
        end=10,
        indices=generator.permutation(of.dataset.size)[:rows],
        weights=np.array(weights, np.float32),
        batches=generator.integers(0, 9, rows).astype(np.int32) if batched else None,
    )
    path = tmp_path_factory.mktemp("h")
    SubsetHistory(of, [written], True).save(path)
    (read,) = SubsetHistory.load(path).intervals
    assert read.same_content(written)
    assert read.indices.dtype == np.int64
    assert read.weights.dtype == np.float32


def test_a_folder_by_uri_is_the_same_folder(tmp_path: Path) -> None:
    written = finished(tmp_path / "h")
    read = SubsetHistory.load(f"file://{tmp_path}/h")
    assert read.intervals[2].same_content(written.intervals[2])
    with pytest.raises(ValueError, match="neither pyarrow nor fsspec"):
        SubsetHistory.load("nowhere://x/h")


def test_an_fsspec_filesystem_holds_a_history_too() -> None:
    written = SubsetHistory(identity(), [interval(i) for i in range(3)], True)
    written.save("memory://some/where")
    read = SubsetHistory.load("memory://some/where")
    assert read.complete
    assert read.intervals[1].same_content(written.intervals[1])


def test_at_follows_warm_start_and_intervals(tmp_path: Path) -> None:
    of = identity(warm_start_epochs=3)
    history = finished(tmp_path, of)
    found = [history.at(epoch) for epoch in range(10)]
    assert [f.number if f else None for f in found] == [None] * 3 + [0] * 4 + [1] * 3
    with pytest.raises(HistoryEndedError, match="10 epochs and has nothing for epoch 10"):
        history.at(10)
    half = SubsetHistory(of, history.intervals[:1], False)
    with pytest.raises(HistoryEndedError, match="unfinished after interval 0"):
        half.at(7)


def test_the_frame_has_a_row_per_example() -> None:
    of = identity()
    history = SubsetHistory(of, [interval(i) for i in range(3)], True)
    frame = history.to_frame()
    assert list(frame.columns) == ["interval", "start", "end", "example", "weight", "batch"]
    assert len(frame) == 150
    second = frame[frame["interval"] == 1]
    assert np.array_equal(second["example"], history.intervals[1].indices)
    assert set(second["start"]) == {4}
    assert set(frame["batch"]) == {-1}
    assert SubsetHistory(of, [], False).to_frame().empty


def test_publishing_is_idempotent_and_ordered(tmp_path: Path) -> None:
    history = open_history(str(tmp_path / "h"))
    assert history.identity() is None
    assert history.begin(identity()) == 0
    assert history.publish(interval(0)) is True
    assert history.publish(replace(interval(0), select_s=99.0)) is False
    with pytest.raises(HistoryConflictError, match=r"interval 0 .* other content"):
        history.publish(interval(0, seed=1))
    with pytest.raises(HistoryConflictError, match="so the next is 1, not 2"):
        history.publish(interval(2))
    with pytest.raises(HistoryConflictError, match="lacks the last 2 of 3"):
        history.finish()
    assert history.begin(identity()) == 1
    history.publish(interval(1))
    history.publish(interval(2))
    history.finish()
    history.finish()
    assert SubsetHistory.load(tmp_path / "h").complete


def test_the_same_history_gives_the_same_files(tmp_path: Path) -> None:
    finished(tmp_path / "a")
    finished(tmp_path / "b")
    for name in ("interval-000000.parquet", "interval-000002.parquet", MANIFEST):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_whole_batches_and_examples_do_not_mix(tmp_path: Path) -> None:
    history = FolderHistory(str(tmp_path))
    history.begin(identity())
    history.publish(interval(0, batches=np.zeros(50)))
    with pytest.raises(ValueError, match="some of its intervals hold whole batches and some do"):
        history.publish(interval(1))
    assert len(history.manifest().intervals) == 1


def test_a_second_seed_is_refused_and_a_moved_one_is_not(tmp_path: Path) -> None:
    history = FolderHistory(str(tmp_path))
    history.begin(identity())
    moved = {"arm": "seed", "learning_rate": 0.1, "history": "elsewhere", "device": "cuda"}
    assert history.begin(identity(seed_config=moved)) == 0
    with pytest.raises(HistoryConflictError, match=r"learning_rate'\]: 0\.1 != 0\.2"):
        history.begin(identity(seed_config={"arm": "seed", "learning_rate": 0.2}))
    with pytest.raises(HistoryConflictError, match="algorithm: 'random' != 'craig'"):
        history.begin(identity(algorithm="craig"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"indices": np.arange(3)}, "arrays of one shape"),
        ({"indices": np.full(50, 7)}, "names an example twice"),
        ({"indices": np.arange(960, 1010)}, "training set toy has 1000"),
        ({"weights": np.full(50, -1.0)}, "negative or not finite"),
        ({"weights": np.full(50, np.nan)}, "negative or not finite"),
        ({"weights": np.zeros(50)}, "weights of mean 0, which must be 1"),
        ({"weights": np.full(50, 0.9)}, "weights of mean 0.9, which must be 1"),
        ({"indices": np.arange(40), "weights": np.ones(40)}, "40 examples, but fraction 0.05"),
        ({"batches": np.full(50, -1)}, "the batch number -1"),
        ({"filled": 51}, "filled=51 of 50"),
        ({"gradient_error": -0.5}, "gradient_error=-0.5"),
        ({"end": 5}, "must cover epochs"),
        ({"number": 3}, "not one of the history's 3"),
    ],
)
def test_impossible_subsets_are_refused(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    history = FolderHistory(str(tmp_path))
    history.begin(identity())
    with pytest.raises(ValueError, match=named):
        history.publish(replace(interval(0), **changes))


def test_reading_waits_wakes_and_gives_up(tmp_path: Path) -> None:
    history = FolderHistory(str(tmp_path / "h"))
    started = time.monotonic()
    assert history.read(0, timeout_s=0.05) is None
    assert time.monotonic() - started < 2

    def seed() -> None:
        history.begin(identity())
        for number in range(3):
            history.publish(interval(number))
        history.finish()

    thread = threading.Timer(0.1, seed)
    thread.start()
    read = history.read(0, timeout_s=30)
    thread.join()
    assert read is not None
    assert read.same_content(interval(0))
    with pytest.raises(HistoryEndedError, match="never have interval 3"):
        history.read(3, timeout_s=30)


def test_what_is_read_cannot_be_written_to(tmp_path: Path) -> None:
    finished(tmp_path)
    read = FolderHistory(str(tmp_path)).read(0, 0)
    assert read is not None
    with pytest.raises(ValueError, match="read-only"):
        read.weights[0] = 1


def test_access_is_small_and_picklable(tmp_path: Path) -> None:
    finished(tmp_path)
    packed = pickle.dumps(open_history(str(tmp_path)))
    assert len(packed) < 500
    assert pickle.loads(packed).read(1, 0).same_content(interval(1))


@pytest.mark.parametrize("position", [4, 60, 200, -5, -60])
def test_one_flipped_byte_is_noticed(tmp_path: Path, position: int) -> None:
    finished(tmp_path)
    file = tmp_path / "interval-000001.parquet"
    content = bytearray(file.read_bytes())
    content[position] ^= 0x10
    file.write_bytes(content)
    with pytest.raises(HistoryCorruptError, match=r"interval-000001\.parquet .* is damaged"):
        SubsetHistory.load(tmp_path)


def test_pages_carry_checksums_of_their_own(tmp_path: Path) -> None:
    """Even with a manifest made to agree, a flipped byte inside a page is noticed."""
    import hashlib

    finished(tmp_path)
    file, manifest = tmp_path / "interval-000001.parquet", tmp_path / MANIFEST
    content = bytearray(file.read_bytes())
    old = hashlib.sha256(content).hexdigest()
    content[200] ^= 0x01
    file.write_bytes(content)
    new = hashlib.sha256(content).hexdigest()
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(HistoryCorruptError, match="not a sound Parquet file"):
        SubsetHistory.load(tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated_files_are_noticed(tmp_path: Path, kept: float) -> None:
    finished(tmp_path)
    for name in ("interval-000000.parquet", MANIFEST):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: int(kept * len(content))])
        with pytest.raises(HistoryCorruptError, match=name):
            SubsetHistory.load(tmp_path)
        (tmp_path / name).write_bytes(content)


def test_missing_and_foreign_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(HistoryMissingError, match=r"does not exist"):
        SubsetHistory.load(tmp_path / "none")
    finished(tmp_path / "h")
    (tmp_path / "h" / "interval-000002.parquet").unlink()
    with pytest.raises(HistoryCorruptError, match="listed in the manifest but missing"):
        SubsetHistory.load(tmp_path / "h")
    manifest = json.loads((tmp_path / "h" / MANIFEST).read_text())
    for field, value, named in [
        ("format", 3, "format 3"),
        ("dataset", {"name": "x"}, r"dataset\.size: Field required"),
        ("complete", 1, r"complete: Input should be a valid boolean, got 1"),
        ("fraction", 7, "fraction must be in"),
        ("intervals", manifest["intervals"][1:], "out of order"),
        ("intervals", manifest["intervals"][:1], "complete with 1 of 3"),
    ]:
        (tmp_path / "h" / MANIFEST).write_text(json.dumps({**manifest, field: value}))
        with pytest.raises(HistoryCorruptError, match=named):
            SubsetHistory.load(tmp_path / "h")


def test_a_history_of_something_else_is_refused_with_both_sides(tmp_path: Path) -> None:
    history = finished(tmp_path)
    history.check_fits(DATASET, max_epochs=10, select_every=4, fraction=0.05, warm_start_epochs=0)
    other = DatasetIdentity("other", 999, "beef")
    with pytest.raises(HistoryMismatchError) as refused:
        history.check_fits(other, max_epochs=11, select_every=5)
    for side in ("trial 999, history 1000", "beef", "f00d", "trial 5, history 4", "trial 11"):
        assert side in str(refused.value)
    history.check_fits(DATASET, max_epochs=11, align="progress")
    stretched = {"select_every": 5, "warm_start_epochs": 3, "align": "progress"}
    history.check_fits(DATASET, max_epochs=11, **stretched)  # the schedule is the history's


def test_a_full_disk_loses_nothing_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest's rename fails: what was there stays whole, and the next attempt succeeds."""
    from tune_select.storage import Folder

    history = FolderHistory(str(tmp_path))
    history.begin(identity())
    history.publish(interval(0))
    whole = Folder.write

    def full(self: Folder, name: str, content: bytes) -> None:
        if name == MANIFEST:
            raise OSError(28, "No space left on device")
        whole(self, name, content)

    monkeypatch.setattr(Folder, "write", full)
    with pytest.raises(OSError, match="No space left"):
        history.publish(interval(1))
    monkeypatch.undo()
    assert len(SubsetHistory.load(tmp_path).intervals) == 1
    assert history.publish(interval(1)) is True
    assert len(SubsetHistory.load(tmp_path).intervals) == 2


def test_a_bad_location_is_named() -> None:
    with pytest.raises(ValueError, match="history must be a path or"):
        open_history({"paths": "x"})


def test_the_same_content_is_that_of_epochs_examples_weights_and_batches() -> None:
    one = interval(0)
    assert one.same_content(replace(one, select_s=9.0, gradient_error=0.1))
    swapped = one.indices[::-1].copy()
    heavier = one.weights * np.float32(1.5)
    batches = np.arange(len(one), dtype=np.int32)
    batched = replace(one, batches=batches)
    for other in (
        replace(one, number=1),
        replace(one, start=one.start + 1),
        replace(one, end=one.end + 1),
        replace(one, indices=swapped),
        replace(one, weights=heavier),
        batched,
    ):
        assert not one.same_content(other)
        assert not other.same_content(one)
    assert batched.same_content(replace(batched, batches=batches.copy()))
    assert not batched.same_content(replace(batched, batches=batches[::-1].copy()))
    of = identity(rungs=(0.01,))
    with_rungs = interval(0, of)
    assert with_rungs.same_content(interval(0, of))
    assert not with_rungs.same_content(replace(with_rungs, rungs={}))


def test_a_configuration_is_kept_as_json_gives_it_back() -> None:
    config = {
        "rate": np.float32(0.5),
        "sizes": np.array([1, 2]),
        "path": Path("/data"),
        "space": MappingProxyType({"a": 1}),
        "class": Path,
        "object": object(),
        "pair": (1, None),
    }
    assert identity(seed_config=config).seed_config == {
        "rate": 0.5, "sizes": [1, 2], "path": "/data", "space": {"a": 1},
        "class": f"{Path.__module__}.Path", "object": "builtins.object", "pair": [1, None],
    }  # fmt: skip
