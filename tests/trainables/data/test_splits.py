"""Stratified splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.corpora import load_corpus
from trainables.data.images import load_images
from trainables.data.sentences import load_sentences
from trainables.data.splits import stratified_split
from trainables.data.tabular import load_table
from trainables.detection.data import load_detection
from trainables.tasks.look import fixed_part


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=200),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 5),
)
def test_parts_are_disjoint_complete_and_balanced(
    labels: list[int], fraction: float, seed: int
) -> None:
    array = np.array(labels)
    kept, held_out = stratified_split(array, fraction, seed)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert (np.sort(kept) == kept).all()
    for label, count in zip(*np.unique(array, return_counts=True), strict=True):
        taken = int((array[held_out] == label).sum())
        assert taken <= count - 1  # every class can still be trained on
        assert abs(taken - fraction * count) < 1 or taken == count - 1


def test_the_second_part_has_exactly_its_size() -> None:
    labels = np.repeat(np.arange(10), 101)
    assert len(stratified_split(labels, 0.155, 0)[1]) == round(0.155 * 1010)


def test_seeds_repeat_and_differ() -> None:
    labels = np.repeat(np.arange(3), 20)
    first, again, other = (stratified_split(labels, 0.3, seed)[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_fraction_outside_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"fraction must be in \[0, 1\)"):
        stratified_split(np.zeros(3, np.int64), fraction, 0)


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 5),
)
def test_a_part_that_is_wanted_and_empty_is_refused(
    labels: list[int], fraction: float, seed: int
) -> None:
    array = np.array(labels)
    _, held_out = stratified_split(array, fraction, seed)
    if len(held_out) or fraction == 0:
        stratified_split(array, fraction, seed, field="data.test_fraction")
        return
    said = (
        rf"^data.test_fraction is {fraction:g}, which of {len(labels)} training example.* is none"
    )
    with pytest.raises(ValueError, match=said):
        stratified_split(array, fraction, seed, field="data.test_fraction")


def test_a_look_at_part_of_a_split_sees_something() -> None:
    every_class_once = torch.arange(10)
    assert fixed_part(every_class_once, 0.5) is None, "then the whole split is seen"
    assert fixed_part(torch.zeros(10, dtype=torch.int64), 0.5) is not None


def test_no_data_set_has_a_split_that_is_wanted_and_empty(tmp_path: Path) -> None:
    (tmp_path / "texts.tsv").write_text("sentence\tlabel\ngood film\t1\nbad film\t0\n")
    (tmp_path / "table.csv").write_text("x,y\n1,2\n2,3\n3,4\n4,5\n")
    (tmp_path / "text.txt").write_text("one two three four five six\n" * 4)
    np.savez(tmp_path / "a.npz", x_train=np.zeros((4, 1, 8, 8), np.uint8), y_train=[0, 0, 1, 1],
             x_test=np.zeros((2, 1, 8, 8), np.uint8), y_test=[0, 1])  # fmt: skip
    table = {"name": "table", "target": "y", "validation_fraction": 0.01, "test_fraction": 0.3}
    text = {"name": "text", "sequence_length": 8, "validation_fraction": 0.05, "test_fraction": 0.5}
    wrong: list[tuple[Callable[[dict[str, Any]], object], str, dict[str, Any]]] = [
        (load_sentences, "texts.tsv", {"name": "sentences"}),
        (load_images, "a.npz", {"name": "arrays"}),
        (load_table, "table.csv", table),
        (load_corpus, "text.txt", text),
        (load_detection, "", {"name": "shapes", "train_size": 4, "validation_fraction": 0.1}),
    ]
    for load, file, data in wrong:
        root = {"root": str(tmp_path / file)} if file else {}
        with pytest.raises(ValueError, match="is none|empty|fewer than one sequence"):
            load(data | root)
