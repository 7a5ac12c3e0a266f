import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis import extreme_examples, write_examples, write_report
from analysis.questions.gallery import contact_sheet, galleries, png
from analysis.questions.histories import w_scores
from analysis.questions.pictures import load_examples, lowest
from analysis.results.history_files import load_history
from tests.analysis.synthetic import Sweep, write_history


def test_extremes_are_the_lowest_and_highest_of_all_and_of_each_class(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "h", n=60, k=12)
    scores, classes = w_scores(load_history(folder)), np.arange(60) % 3
    found = set(extreme_examples(folder, classes, count=4, per_class=2).tolist())
    assert set(np.argsort(scores)[-4:].tolist()) <= found
    for label in range(3):
        mine = np.flatnonzero(classes == label)
        assert set(mine[np.argsort(scores[mine])[-2:]].tolist()) <= found
    zeros = np.flatnonzero(scores == 0)
    assert len(found & set(zeros.tolist())) >= 4
    picked = lowest(scores, 4)
    assert (scores[picked] == 0).all()
    assert picked.tolist() != sorted(zeros.tolist())[:4]  # ties are not the file's beginning


def test_png_and_contact_sheet_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (3, 4), dtype=np.uint8)
    colour = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    sheet = contact_sheet([[colour, colour], [colour]])
    assert sheet.shape == (3 * 2 + 2, 4 * 2 + 2, 4)
    read = np.asarray(Image.open(io.BytesIO(png(sheet))))
    np.testing.assert_array_equal(read, sheet)
    np.testing.assert_array_equal(read[:3, :4, :3], colour)
    assert (read[:3, 4:6, 3] == 0).all()  # the gap is transparent
    np.testing.assert_array_equal(contact_sheet([[grey]])[..., 0], grey)
    with pytest.raises(ValueError, match="pixels must be uint8"):
        png(colour)


def test_examples_read_back_and_galleries_show_them(tmp_path: Path) -> None:
    folder = Sweep(promote=False, seeds=(0,)).write(tmp_path)
    history = load_history(folder / "history" / "seed0")
    classes = np.arange(history.size) % 2
    chosen = extreme_examples(history, classes)
    image = np.zeros((len(chosen), 8, 8), np.uint8)
    write_examples(
        folder,
        example=chosen,
        image=image,
        label=classes[chosen],
        labels=classes,
        class_names=["<cat>", "dog"],
        history="seed0",
    )
    examples = load_examples(folder)
    assert examples is not None
    assert examples.class_name(0) == "<cat>"
    made = galleries(examples, w_scores(history))
    assert [g.name for g in made] == [
        "gallery_lowest",
        "gallery_highest",
        "gallery_lowest_by_class",
        "gallery_highest_by_class",
    ]
    assert made[1].frame["w_score"].is_monotonic_decreasing
    never = int((w_scores(history) == 0).sum())
    assert never > 24
    assert f"a fixed random choice among the {never} with the score 0" in made[0].caption
    assert "Scores" in made[1].caption
    text = write_report(folder, resamples=100).read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 4
    assert "<cat>" not in text
    assert (folder / "figures" / "gallery_highest.png").exists()
    assert (folder / "figures" / "class_balance.svg").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((2, 4, 4))}, "image must be uint8"),
        ({"image": np.zeros((2, 4, 4, 2), np.uint8)}, "image must be uint8"),
        ({"label": [0]}, "must have one length"),
    ],
)
def test_examples_that_do_not_fit_together_are_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    arrays = {
        "example": [0, 1],
        "image": np.zeros((2, 4, 4), np.uint8),
        "label": [0, 1],
        "labels": [0, 1, 0],
    }
    with pytest.raises(ValueError, match=message):
        write_examples(tmp_path, **(arrays | change))  # type: ignore[arg-type]


def test_damaged_examples_leave_a_report_that_says_so(tmp_path: Path) -> None:
    folder = Sweep(promote=False, seeds=(0,)).write(tmp_path)
    (folder / "examples.npz").write_bytes(b"PK not a zip")
    with pytest.raises(ValueError, match=r"examples\.npz"):
        load_examples(folder)
    text = write_report(folder, resamples=100).read_text(encoding="utf-8")
    assert "The pictures of examples could not be read" in text
