import numpy as np
import pytest

from tests.tune_select.histories import identity, interval
from tune_select.history import DatasetIdentity, HistoryError, SubsetHistory
from tune_select.history.compose import compose


def history(seed, **changes) -> SubsetHistory:
    mine = identity(seed_config={"arm": "seed", "seed": seed}, **changes)
    intervals = [interval(i, mine, seed=seed) for i in range(mine.interval_count)]
    return SubsetHistory(mine, intervals, complete=True)


def test_every_interval_is_drawn_from_what_any_seed_selected():
    members = [history(seed) for seed in range(3)]
    composed = compose(members)
    known = {int(i) for member in members for part in member.intervals for i in part.indices}
    assert composed.complete
    assert composed.identity.algorithm == "composed"
    for old, new in zip(members[0].intervals, composed.intervals, strict=True):
        assert (new.start, new.end, len(new)) == (old.start, old.end, len(old))
        assert {int(i) for i in new.indices} <= known
        assert np.isclose(new.weights.mean(), 1.0, atol=1e-5)
        new.check(composed.identity)


def test_one_seed_draws_the_same_again_and_another_draws_anew():
    members = [history(seed) for seed in range(2)]
    first, again, other = compose(members), compose(members), compose(members, seed=1)
    pairs = zip(first.intervals, again.intervals, strict=True)
    assert all(a.same_content(b) for a, b in pairs)
    assert not first.intervals[0].same_content(other.intervals[0])


def test_it_says_what_it_was_composed_of(tmp_path):
    composed = compose([history(4), history(5)])
    composed.save(tmp_path / "h")
    composed.save(tmp_path / "h")  # a resumed sweep composes again
    read = SubsetHistory.load(tmp_path / "h")
    members = read.identity.settings["members"]
    assert members == [{"algorithm": "random", "seed": s} for s in (4, 5)]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (history(1, fraction=0.1), r"histories\[1\] has fraction=0.1 but histories\[0\] has 0.05"),
        (history(1, max_epochs=11), "max_epochs"),
        (history(1, dataset=DatasetIdentity("other", 1000, "beef")), "dataset"),
        (SubsetHistory(identity(), history(1).intervals[:1], complete=False), "ends after 1"),
    ],
)
def test_histories_that_do_not_fit_together_are_refused(second, message):
    with pytest.raises(HistoryError, match=message):
        compose([history(0), second])


def test_nothing_and_whole_batches_cannot_be_composed():
    with pytest.raises(ValueError, match="at least one"):
        compose([])
    mine = identity()
    parts = [interval(i, mine, batches=np.zeros(50, np.int32)) for i in range(mine.interval_count)]
    with pytest.raises(HistoryError, match="whole batches"):
        compose([SubsetHistory(mine, parts, complete=True)])
