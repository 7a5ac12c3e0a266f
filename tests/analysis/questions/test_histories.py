import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine

from analysis.questions.histories import (
    class_balance,
    cosine_similarity,
    independent_cosine,
    interval_table,
    labels,
    never_used,
    score_histogram,
    similarity_table,
    top_overlap,
    w_scores,
)
from analysis.results.history_files import load_histories, load_history
from tests.analysis.synthetic import write_history

# Six examples, intervals of 3 epochs. Weights of the first have mean 1, of the second mean 2.
SUBSETS = [([0, 1], [0.5, 1.5]), ([1, 2], [1.0, 3.0])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_history(tmp_path / "history" / "a", n=6, k=2, intervals=SUBSETS)


def test_w_scores_by_hand(folder: Path) -> None:
    history = load_history(folder)
    # Example 1: 3 x 1.5 in the first interval, 3 x 1.0 / 2 in the second.
    assert w_scores(history).tolist() == pytest.approx([1.5, 6.0, 4.5, 0, 0, 0])
    assert w_scores(history).sum() == pytest.approx(2 * 6)  # k per epoch
    assert never_used(history) == pytest.approx(0.5)


def test_an_initial_draw_is_no_choice_of_the_selector(tmp_path: Path) -> None:
    """Seeds of one training seed draw the same: it would make any two histories alike."""
    how = {"selection": {"first_subset": "random"}}
    drawn = load_history(write_history(tmp_path / "r", n=6, k=2, intervals=SUBSETS, config=how))
    assert w_scores(drawn).tolist() == pytest.approx([0, 1.5, 4.5, 0, 0, 0])
    assert never_used(drawn) == pytest.approx(0.5)  # it was trained on nevertheless
    assert len(interval_table(drawn)) == 2
    # Behind a warm start nothing is drawn, whatever the setting says.
    warm = write_history(tmp_path / "w", n=6, k=2, intervals=SUBSETS, config=how, warm=2)
    assert w_scores(load_history(warm)).sum() == pytest.approx(2 * 6)
    selected = {"selection": {"first_subset": "selected"}}
    own = write_history(tmp_path / "s", n=6, k=2, intervals=SUBSETS, config=selected)
    assert w_scores(load_history(own)).sum() == pytest.approx(2 * 6)


def test_intervals_by_hand(folder: Path) -> None:
    table = interval_table(load_history(folder))
    assert math.isnan(table["jaccard"].iloc[0])
    assert table["jaccard"].iloc[1] == pytest.approx(1 / 3)
    # Independent pairs of six share 2 x 2 / 6 on average, of 4 less that many.
    assert table["jaccard_random"].iloc[1] == pytest.approx((4 / 6) / (4 - 4 / 6))
    assert table["never_used"].tolist() == pytest.approx([4 / 6, 3 / 6])
    assert table["effective_share"].tolist() == pytest.approx([4 / (2 * 2.5), 16 / (2 * 10)])
    assert table["start"].tolist() == [0, 3]


def test_class_balance_by_hand(folder: Path) -> None:
    history = load_history(folder)
    table = class_balance(history, np.array([0, 0, 1, 1, 1, 1])).set_index(["interval", "label"])
    assert table["train_share"].unique().tolist() == pytest.approx([1 / 3, 2 / 3])
    assert table.loc[(0, 0), ["share", "weight_share"]].tolist() == [1.0, 1.0]
    assert table.loc[(1, 0), ["share", "weight_share"]].tolist() == pytest.approx([0.5, 0.25])
    with pytest.raises(ValueError, match="classes must have shape"):
        class_balance(history, np.zeros(5, dtype=np.int64))


def test_histogram_holds_every_example_once(tmp_path: Path) -> None:
    history = load_history(write_history(tmp_path / "a"))
    table = score_histogram(history, bins=7)
    assert table["examples"].sum() == history.size
    assert table["examples"].iloc[0] == round(never_used(history) * history.size)
    assert table["high"].max() == pytest.approx(w_scores(history).max())


vectors = st.lists(st.floats(0, 5), min_size=4, max_size=4)


@settings(deadline=None, max_examples=50)
@given(vectors, vectors)
def test_cosine_is_scipys(x: list[float], y: list[float]) -> None:
    a, b = np.array(x) + 0.01, np.array(y) + 0.01
    assert cosine_similarity(a, b) == pytest.approx(1 - cosine(a, b))
    assert math.isnan(cosine_similarity(a, np.zeros(4)))


def test_cosine_of_what_has_nothing_in_common() -> None:
    rng = np.random.default_rng(0)
    x, y = np.where(rng.random((2, 300)) < 0.3, rng.gamma(2.0, size=(2, 300)), 0.0)
    shuffled = [cosine_similarity(x, rng.permutation(y)) for _ in range(500)]
    assert independent_cosine(x, y) == pytest.approx(np.mean(shuffled), abs=0.005)
    assert independent_cosine(x, y) > 0.1
    assert math.isnan(independent_cosine(x, np.zeros(300)))


def test_overlap_of_the_top_tenth() -> None:
    scores = np.arange(100.0)
    assert top_overlap(scores, scores) == 1.0
    assert top_overlap(scores, -scores) == 0.0
    assert top_overlap(scores, np.roll(scores, 5)) == 0.5
    rng = np.random.default_rng(0)
    independent = [top_overlap(rng.normal(size=500), rng.normal(size=500)) for _ in range(200)]
    assert np.mean(independent) == pytest.approx(0.1, abs=0.01)


def test_similarity_only_over_one_training_set(tmp_path: Path) -> None:
    for i, n in enumerate((200, 200, 100)):
        write_history(tmp_path / f"h{i}", n=n, seed=i, config={"optimizer": "sgd"})
    histories, problems = load_histories(tmp_path)
    assert not problems
    table = similarity_table(histories)
    assert list(zip(table["first_key"], table["second_key"], strict=True)) == [("h0", "h1")]
    scores = [w_scores(history) for history in histories]
    assert table["cosine"].iloc[0] == pytest.approx(1 - cosine(scores[0], scores[1]))
    assert labels(histories) == [f"sgd, gradmatch (h{i})" for i in range(3)]


def test_a_damaged_history_is_named_and_the_others_stay(tmp_path: Path) -> None:
    for name in ("good", "torn", "cut", "foreign", "pipe", "deep"):
        write_history(tmp_path / name, n=6, k=2, intervals=SUBSETS)
    file = tmp_path / "torn" / "interval-000001.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    (tmp_path / "cut" / "interval-000000.parquet").unlink()
    manifest = tmp_path / "foreign" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("interval-000000", "../../etc"))
    pipe = tmp_path / "pipe" / "interval-000000.parquet"
    pipe.unlink()
    os.mkfifo(pipe)  # to be opened by nobody, or the report would wait for ever
    (tmp_path / "deep" / "manifest.json").write_text("[" * 100_000)
    histories, problems = load_histories(tmp_path)
    assert [history.key for history in histories] == ["good"]
    assert len(problems) == 5
    assert any("pipe" in p and "not a regular file" in p for p in problems)
    assert any("torn" in p and "SHA-256" in p for p in problems)
    assert any("foreign" in p and "outside" in p for p in problems)


def test_a_warm_start_does_not_count(tmp_path: Path) -> None:
    cold = load_history(write_history(tmp_path / "a", n=6, k=2, intervals=SUBSETS))
    warm = load_history(write_history(tmp_path / "b", n=6, k=2, intervals=SUBSETS, warm=4))
    assert warm.warm_start_epochs == 4
    np.testing.assert_array_equal(w_scores(cold), w_scores(warm))
