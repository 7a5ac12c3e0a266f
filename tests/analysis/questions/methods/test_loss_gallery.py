"""Easy and hard examples by loss, on numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis import ReportOptions, load, write_examples
from analysis.questions.methods.loss_gallery import (
    loss_galleries,
    loss_places,
    pictured_by_loss,
)
from analysis.questions.pictures import extremes, load_examples
from analysis.sections.methods.example_losses import section
from analysis.tables import Gallery
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.questions.methods.test_example_losses import records, write_losses


def test_places_are_the_share_below_and_half_of_the_ties(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    write_losses(folder, "full-0", records(1, [4.0, 1.0, 1.0, 9.0]))
    places = loss_places(load(folder), 4)
    assert places is not None
    assert (places.arm, places.trials, places.epochs) == ("full", 1, (1,))
    assert places.values.tolist() == [0.625, 0.25, 0.25, 0.875]


def test_every_record_counts_alike_whatever_its_scale(tmp_path: Path) -> None:
    """Example 0 has the highest loss once, and by far, example 1 in the other records."""
    folder = write_hand_sweep(tmp_path)
    later = [records(epoch, [0.0, 0.002, 0.001]) for epoch in (2, 3)]
    write_losses(folder, "full-0", records(1, [900.0, 3.0, 2.0]), *later)
    write_losses(folder, "full-1", records(1, [0.0, 0.2, 0.1]))
    places = loss_places(load(folder), 3)
    assert places is not None
    assert (places.trials, places.epochs) == (2, (1, 2, 3))
    middles = np.array([1, 3, 5]) / 6
    assert places.values == pytest.approx(
        [(middles[2] + 3 * middles[0]) / 4, (middles[1] + 3 * middles[2]) / 4,
         (3 * middles[1] + middles[0]) / 4]
    )  # fmt: skip


def test_full_training_speaks_before_the_others(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    write_losses(folder, "cached-0", records(1, [2.0, 1.0]))
    results = load(folder)
    places = loss_places(results, 2)
    assert places is not None
    assert places.arm == "cached"
    write_losses(folder, "full-0", records(1, [1.0, 2.0]))
    places = loss_places(results, 2)
    assert places is not None
    assert places.arm == "full"
    assert places.values.tolist() == [0.25, 0.75]


def test_records_of_other_examples_and_of_a_diverged_trial_do_not_count(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    part = records(2, [9.0, 1.0, 2.0]).iloc[:2]  # one of three examples is missing
    write_losses(folder, "full-0", records(1, [1.0, 2.0, 3.0]), part)
    write_losses(folder, "full-1", records(1, [4.0, 3.0, 2.0, 1.0]))  # of four examples
    write_losses(folder, "random_pb-1", records(1, [2.0, 1.0]))  # diverged
    results = load(folder)
    places = loss_places(results, 3)
    assert places is not None
    assert (places.trials, places.epochs) == (1, (1,))
    assert places.values.tolist() == pytest.approx([1 / 6, 3 / 6, 5 / 6])
    assert loss_places(results, 2) is None
    assert pictured_by_loss(results, np.zeros(2)).size == 0


def recorded(tmp_path: Path, n: int = 60) -> tuple[Path, np.ndarray]:
    """Full training's losses of ``n`` examples, the class of each its remainder by three."""
    folder = write_hand_sweep(tmp_path)
    losses = np.random.default_rng(0).gamma(1.0, size=n)
    write_losses(folder, "full-0", records(1, losses.tolist()), records(4, losses.tolist()))
    return folder, losses


def write_pictures(folder: Path, chosen: np.ndarray, n: int = 60) -> None:
    labels = np.arange(n) % 3
    image = np.zeros((len(chosen), 8, 8), np.uint8)
    write_examples(folder, example=chosen, image=image, label=labels[chosen], labels=labels)


def test_galleries_hold_the_lowest_and_the_highest_losses(tmp_path: Path) -> None:
    folder, losses = recorded(tmp_path)
    results = load(folder)
    write_pictures(folder, pictured_by_loss(results, np.arange(60) % 3))
    examples, places = load_examples(folder), loss_places(results, 60)
    assert examples is not None
    assert places is not None
    made = {gallery.name: gallery for gallery in loss_galleries(places, examples)}
    assert list(made) == [
        "loss_gallery_lowest",
        "loss_gallery_highest",
        "loss_gallery_lowest_by_class",
        "loss_gallery_highest_by_class",
    ]
    assert made["loss_gallery_lowest"].frame["example"].tolist() == np.argsort(losses)[:24].tolist()
    highest = made["loss_gallery_highest"]
    assert highest.frame["example"].tolist() == np.argsort(-losses)[:24].tolist()
    assert highest.caption == (
        "The 24 training examples with the highest losses. Mean places 0.608 to 0.992."
    )
    by_class = made["loss_gallery_highest_by_class"].frame
    assert by_class.columns.tolist() == ["example", "label", "place"]
    assert by_class["label"].tolist() == ["0"] * 8 + ["1"] * 8 + ["2"] * 8
    first = np.flatnonzero(np.arange(60) % 3 == 0)
    assert by_class["example"][0] == first[losses[first].argmax()]


def test_half_of_a_gallery_is_none(tmp_path: Path) -> None:
    folder, _ = recorded(tmp_path)
    places = loss_places(load(folder), 60)
    assert places is not None
    write_pictures(folder, extremes(places.values, np.arange(60) % 3)[1:])
    examples = load_examples(folder)
    assert examples is not None
    assert loss_galleries(places, examples) == []


def test_the_section_shows_the_pictures_or_says_why_not(tmp_path: Path) -> None:
    folder, _ = recorded(tmp_path)
    results = load(folder)

    def shown() -> tuple[str, list[str]]:
        made = section(results, ReportOptions())
        assert made is not None
        return " ".join(made.paragraphs), [i.name for i in made.items if isinstance(i, Gallery)]

    said, names = shown()
    assert "There are no pictures (examples.npz)" in said
    assert names == []
    write_pictures(folder, np.arange(3))
    said, names = shown()
    assert "are not of the examples with the lowest and the highest losses" in said
    assert names == []
    write_pictures(folder, pictured_by_loss(results, np.arange(60) % 3))
    said, names = shown()
    assert said.endswith(
        "in full training: by the share of examples with a lower loss (place), mean over "
        "1 trial and over the records after epochs 1, 4."
    )
    assert len(names) == 4
    (folder / "examples.npz").write_bytes(b"PK not a zip")
    assert "could not be read" in shown()[0]
