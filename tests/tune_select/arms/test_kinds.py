import pytest

from tune_select.arms import SEED_ARM, check_selector, kind_of


@pytest.mark.parametrize("name", [SEED_ARM, "full", "cached", "cached_mixed", "craig", "kath18"])
def test_every_kind_of_arm_has_a_name(name: str) -> None:
    check_selector("arm", name)
    assert name in (SEED_ARM, "full") or kind_of(name) in ("cached", "selector", "mini_batch")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("cahced", "cached"), ("Big-Loss", "big_loss"), ("GradMatch", "gradmatch"), ("sead", "seed")],
)
def test_an_arm_of_no_name_is_told_which_was_meant(written: str, meant: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^arm must be one of .*'{written}'; did you mean {meant}"
    ):
        check_selector("arm", written)


@pytest.mark.parametrize("name", ["cached", "big_loss", SEED_ARM])
def test_a_seed_runs_no_replay_and_nothing_inside_the_mini_batch(name: str) -> None:
    with pytest.raises(ValueError, match="^selection.algorithm must be one of .*gradmatch"):
        check_selector("selection.algorithm", name, of_seed=True)
    check_selector("selection.algorithm", "mine.Selector", of_seed=True)
