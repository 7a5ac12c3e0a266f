"""Folders that lie: whatever is done to a history, it is refused or keeps its contract.

Each mutation is a function of a folder and a random generator; several are applied in turn. The
contract is checked by an oracle of its own, not by the code that reads.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tune_select.histories import identity, interval
from tune_select.history import HistoryCorruptError, HistoryError, SubsetHistory
from tune_select.history.folder import FolderHistory
from tune_select.history.manifest import MANIFEST

Generator = np.random.Generator
Mutation = Callable[[Path, Generator], None]

JUNK: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3.5, 1e308, float("nan"), float("inf"), -0.0, 10**30, 2**63,
    "", "x", "1", "../outside.parquet", "/etc/passwd", "a/b.parquet", ".", "..", "interval\0",
    "manifest.json", "interval-000001.parquet", "\ud800", [], {}, [[]], {"a": 1}, [1, 2],
    "x" * 5000,
]  # fmt: skip


RUNGS = (0.01, 0.02)


@pytest.fixture(scope="module", params=[(), RUNGS], ids=["alone", "rungs"])
def template(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, bytes]:
    """Files of a sound history, of one fraction or of a ladder's."""
    folder = tmp_path_factory.mktemp("template")
    of = identity(rungs=request.param)
    SubsetHistory(of, [interval(i, of) for i in range(of.interval_count)], True).save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder: Path, template: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in template.items():
        (folder / name).write_bytes(content)
    return folder


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest, if it still is one."""
    if not (folder / MANIFEST).is_file() or (folder / MANIFEST).is_symlink():
        return
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        change(content)
        (folder / MANIFEST).write_text(json.dumps(content))
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        ArithmeticError,
        RecursionError,
    ):
        pass  # an earlier mutation left no manifest to change


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    found = [(value, key) for key in keys]
    return found + [place for key in keys for place in _places(value[key])]


def junk_somewhere(folder: Path, generator: Generator) -> None:
    def change(content: dict[str, Any]) -> None:
        places = _places(content)
        container, key = places[generator.integers(len(places))]
        container[key] = JUNK[generator.integers(len(JUNK))]

    edit(folder, change)


def drop_something(folder: Path, generator: Generator) -> None:
    def change(content: dict[str, Any]) -> None:
        places = _places(content)
        container, key = places[generator.integers(len(places))]
        del container[key]

    edit(folder, change)


def nudge_a_number(folder: Path, generator: Generator) -> None:
    def change(content: dict[str, Any]) -> None:
        numbers = [(c, k) for c, k in _places(content) if type(c[k]) in (int, float)]
        container, key = numbers[generator.integers(len(numbers))]
        container[key] *= float(generator.choice([-1, 0, 2, 10, 1e6, 0.5]))
        if generator.random() < 0.5:
            container[key] = int(container[key])

    edit(folder, change)


def repeat_an_interval(folder: Path, generator: Generator) -> None:
    def change(content: dict[str, Any]) -> None:
        rows = content["intervals"]
        rows.insert(generator.integers(len(rows) + 1), rows[generator.integers(len(rows))])

    edit(folder, change)


def nest_deeply(folder: Path, generator: Generator) -> None:
    depth = int(generator.choice([100, 2000, 100_000]))
    if (folder / MANIFEST).is_file() and not (folder / MANIFEST).is_symlink():
        content = (folder / MANIFEST).read_bytes()
        deep = b"[" * depth + b"]" * depth
        key = b'"seed_config": {'
        (folder / MANIFEST).write_bytes(content.replace(key, key + b'"deep": ' + deep + b","))


def spoil_bytes(folder: Path, generator: Generator) -> None:
    path = _some_file(folder, generator)
    if path is None:
        return
    content = bytearray(path.read_bytes())
    position = int(generator.integers(len(content) + 1))
    how = generator.integers(3)
    if how == 0 and position < len(content):
        content[position] ^= 1 << int(generator.integers(8))
    elif how == 1:
        del content[position:]
    else:
        content[position:position] = generator.bytes(20)
    path.write_bytes(content)


def replace_by_what_is_no_file(folder: Path, generator: Generator) -> None:
    path = _some_file(folder, generator)
    if path is None:
        return
    how, outside = int(generator.integers(6)), folder.parent / "outside.parquet"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    if how == 0:
        path.mkdir()
    elif how == 1:
        os.mkfifo(path)
    elif how == 2:
        path.symlink_to("/dev/zero")
    elif how == 3:
        path.symlink_to(outside)
    elif how == 4:
        path.symlink_to(path)
    # 5: it stays away


def rewrite_an_interval(folder: Path, generator: Generator) -> None:
    """Other content under a manifest that agrees with its digest and rows."""
    number = int(generator.integers(3))
    rung = int(generator.integers(-1, len(RUNGS)))
    at, of = ("", 50) if rung < 0 else (f"-{RUNGS[rung]}", int(1000 * RUNGS[rung]))
    path = folder / f"interval-{number:06d}{at}.parquet"
    size = int(generator.choice([of, of, of, of, of - 1, 1, 2 * of]))
    columns: dict[str, Any] = {
        "example": generator.permutation(1000)[:size],
        "weight": np.ones(size, np.float32),
    }
    how = int(generator.integers(12))
    if how == 0:
        columns["weight"] = np.zeros(size, np.float32)
    elif how == 1:
        columns["weight"] *= np.float32(generator.choice([0.5, 2, -1, 1e30, np.inf, np.nan]))
    elif how == 2:
        columns["example"] = generator.integers(-5, 1005, size)
    elif how == 3:
        columns["batch"] = generator.integers(-1, 5, size).astype(np.int32)
    elif how == 4:
        columns["weight"] = columns["weight"].astype(np.float64)
    elif how == 5:
        columns["more"] = np.ones(size)
    elif how == 6:
        columns["example"] = pa.array([None, *range(size - 1)])
    elif how == 7:
        columns["example"] = pa.array([[1]] * size)
    elif how == 8:
        columns.pop("weight")
    elif how == 9:
        columns["weight"][0] = np.float32(generator.choice([-1, np.nan, 51, 1.01]))
    table = pa.table({name: pa.array(value) for name, value in columns.items()})
    sink = pa.BufferOutputStream()
    group = int(generator.choice([1, 7, 1000]))
    pq.write_table(table, sink, row_group_size=group, compression="zstd")
    if path.is_file() and not path.is_symlink():
        path.write_bytes(sink.getvalue())

    def agree(content: dict[str, Any]) -> None:
        row = content["intervals"][number]
        row = row if rung < 0 else row["rungs"][rung]
        row["sha256"] = hashlib.sha256(sink.getvalue()).hexdigest()
        row["rows"] = size
        if generator.random() < 0.5:
            row.pop("batched", None)

    edit(folder, agree)


def _some_file(folder: Path, generator: Generator) -> Path | None:
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.is_symlink())
    return files[generator.integers(len(files))] if files else None


MUTATIONS: list[Mutation] = [
    junk_somewhere, junk_somewhere, drop_something, nudge_a_number, repeat_an_interval, nest_deeply,
    spoil_bytes, replace_by_what_is_no_file, rewrite_an_interval, rewrite_an_interval,
]  # fmt: skip


def keeps_the_contract(history: SubsetHistory) -> None:
    """What DESIGN and the README promise of any history that is read, at each of its rungs."""
    for subset in history.intervals:
        assert list(subset.rungs) == list(history.identity.rungs)
    for fraction in history.identity.fractions:
        keeps_the_contract_at_one_fraction(history.rung(fraction))


def keeps_the_contract_at_one_fraction(history: SubsetHistory) -> None:
    of = history.identity
    assert isinstance(of.dataset.size, int)
    assert 0 < of.fraction <= 1
    assert len(history.intervals) <= of.interval_count
    assert not history.complete or len(history.intervals) == of.interval_count
    assert len({subset.batches is None for subset in history.intervals}) <= 1
    epoch = of.warm_start_epochs
    for number, subset in enumerate(history.intervals):
        assert (subset.number, subset.start) == (number, epoch)
        epoch = min(epoch + of.select_every, of.max_epochs)
        assert subset.end == epoch
        indices, weights = subset.indices.tolist(), subset.weights.astype(float)
        assert len(set(indices)) == len(indices) == len(weights) > 0
        assert 0 <= min(indices) <= max(indices) < of.dataset.size
        assert abs(len(indices) - of.fraction * of.dataset.size) <= max(
            1, 0.1 * of.fraction * of.dataset.size
        )
        assert np.isfinite(weights).all()
        assert weights.min() >= 0
        assert abs(weights.mean() - 1) < 2e-3
        assert type(subset.filled) is int
        assert 0 <= subset.filled <= len(indices)
        for value in (subset.gradient_error, subset.random_gradient_error, subset.select_s):
            assert value is None or 0 <= value < np.inf
        if subset.batches is not None:
            assert len(subset.batches) == len(indices)
            assert subset.batches.min() >= 0


def try_one(folder: Path, template: dict[str, bytes], steps: list[tuple[int, int]]) -> bool:
    """Whether the mutated folder was read; it then keeps the contract."""
    write(folder, template)
    for which, seed in steps:
        MUTATIONS[which](folder, np.random.default_rng(seed))
    try:
        history = SubsetHistory.load(folder)
    except HistoryError:
        return False
    keeps_the_contract(history)
    for number, subset in enumerate(history.intervals):
        for fraction in history.identity.fractions:
            read = FolderHistory(str(folder)).read(number, 0, fraction)
            assert read is not None
            assert read.same_content(subset.alone(history.identity.rung_of(fraction)))
    return True


STEPS = st.lists(
    st.tuples(st.integers(0, len(MUTATIONS) - 1), st.integers(0, 2**32)), min_size=1, max_size=3
)


@pytest.mark.timeout(120)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(steps=STEPS)
def test_a_mutated_folder_is_refused_or_keeps_its_contract(
    tmp_path_factory: pytest.TempPathFactory,
    template: dict[str, bytes],
    steps: list[tuple[int, int]],
) -> None:
    try_one(tmp_path_factory.mktemp("mutated") / "h", template, steps)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_mutated_folders(
    tmp_path_factory: pytest.TempPathFactory, template: dict[str, bytes]
) -> None:
    generator, read = np.random.default_rng(0), 0
    base = tmp_path_factory.mktemp("many")
    for number in range(10_000):
        steps = [
            (int(generator.integers(len(MUTATIONS))), int(generator.integers(2**32)))
            for _ in range(generator.integers(1, 4))
        ]
        (base / str(number)).mkdir()
        read += try_one(base / str(number) / "h", template, steps)
    print(f"{read} of 10,000 mutated histories are read and keep their contract")
    assert 100 < read < 5_000  # the mutations neither miss nor spoil everything


def test_every_kind_of_lie_is_refused(tmp_path: Path, template: dict[str, bytes]) -> None:
    def lie(name: str, change: Callable[[dict[str, Any]], None]) -> HistoryCorruptError:
        folder = write(tmp_path / name, template)
        edit(folder, change)
        with pytest.raises(HistoryCorruptError) as refused:
            SubsetHistory.load(folder)
        return refused.value

    (tmp_path / "outside.parquet").write_bytes(template["interval-000000.parquet"])
    for name in ("../outside.parquet", str(tmp_path / "outside.parquet"), "a/b", ".hidden", ""):
        shown = lie(f"name {len(name)}", lambda c, n=name: c["intervals"][0].update(file=n))
        assert "intervals.0.file" in str(shown)
    assert "two intervals" in str(
        lie("same file", lambda c: c["intervals"][0].update(file=c["intervals"][1]["file"]))
    )
    assert "fraction" in str(lie("size", lambda c: c.update(fraction=0.5)))
    assert "filled" in str(lie("filled", lambda c: c["intervals"][0].update(filled=51)))
    assert "max_epochs" in str(lie("epochs", lambda c: c.update(max_epochs=10**400)))
    assert "select_s" in str(lie("seconds", lambda c: c["intervals"][0].update(select_s=-1)))
    assert "NaN is not JSON" in str(
        lie("nan", lambda c: c["intervals"][0].update(gradient_error=float("nan")))
    )


def test_a_small_file_cannot_unpack_to_a_large_one(tmp_path: Path) -> None:
    """3 MB of Parquet for gigabytes of zeros: refused by what the file says of itself."""
    folder = tmp_path / "h"
    FolderHistory(str(folder)).begin(identity())
    FolderHistory(str(folder)).publish(interval(0))
    rows = 2_000_000
    table = pa.table({"example": np.zeros(rows, np.int64), "weight": np.ones(rows, np.float32)})
    file = folder / "interval-000000.parquet"
    pq.write_table(table, file, compression="zstd")
    assert file.stat().st_size < 2**16  # so the size of the file alone does not give it away
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    edit(folder, lambda c: c["intervals"][0].update(sha256=digest))
    before = pa.total_allocated_bytes()
    with pytest.raises(HistoryCorruptError, match="2000000 rows, the manifest says 50"):
        SubsetHistory.load(folder)
    assert pa.total_allocated_bytes() - before < 2**20
    edit(folder, lambda c: c["intervals"][0].update(rows=rows))
    with pytest.raises(HistoryCorruptError, match="2000000 examples, but fraction 0.05"):
        SubsetHistory.load(folder)


def test_a_manifest_without_end_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / MANIFEST).open("wb") as file:
        file.truncate(2**40)  # sparse: a terabyte that takes no room
    with pytest.raises(HistoryCorruptError, match="more than the 67108864 it may have"):
        SubsetHistory.load(tmp_path)
