import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_select.arms import EpochPlan, Selection, epochs_of


def test_kappa_is_the_papers_example():
    """10% of the data, 300 epochs: 15 full epochs, then 150 on the subset (section 3.2)."""
    for reading in ("cost", "epochs"):
        chosen = Selection(fraction=0.1, kappa=0.5, kappa_of=reading)
        assert epochs_of("selector", chosen, 300) == EpochPlan(15, 165)


@pytest.mark.parametrize(
    ("kappa", "of", "warm", "subset"),
    [
        # T_f = kappa T k / n, T_s = (1 - kappa) T: 30 full epochs' worth for every kappa.
        (0.25, "cost", 8, 225),  # 7.5 in whole epochs
        (0.75, "cost", 22, 75),  # 22.5, rounded to even
        (0.2, "cost", 6, 240),
        # T_s = kappa T, T_f = T_s k / n: 15, 30 and 60 full epochs' worth.
        (0.25, "epochs", 8, 75),
        (0.5, "epochs", 15, 150),
        (1.0, "epochs", 30, 300),
    ],
)
def test_the_two_readings_of_kappa(kappa, of, warm, subset):
    chosen = Selection(fraction=0.1, kappa=kappa, kappa_of=of)
    assert epochs_of("selector", chosen, 300) == EpochPlan(warm, warm + subset)


@given(epochs=st.integers(20, 400), fraction=st.floats(0.05, 1.0), kappa=st.floats(0.01, 0.99))
def test_a_share_of_the_cost_leaves_the_cost_as_it_is(epochs, fraction, kappa):
    plan = epochs_of("selector", Selection(fraction=fraction, kappa=kappa), epochs)
    cost = plan.warm_start_epochs + (plan.epochs - plan.warm_start_epochs) * fraction
    assert abs(cost - epochs * fraction) <= 0.5 + max(0.5, 1.0) * fraction


def test_all_of_the_cost_leaves_nothing_for_subsets():
    with pytest.raises(ValueError, match="kappa_of: epochs"):
        Selection(kappa=1.0)
    assert Selection(kappa=1.0, kappa_of="epochs").kappa == 1


@given(epochs=st.integers(20, 400), fraction=st.floats(0.05, 1.0))
def test_half_kappa_costs_what_the_subset_alone_costs(epochs, fraction):
    plan = epochs_of("selector", Selection(fraction=fraction, kappa=0.5), epochs)
    cost = plan.warm_start_epochs + (plan.epochs - plan.warm_start_epochs) * fraction
    assert abs(cost - epochs * fraction) <= 0.5 + 2 * 0.5 * fraction  # T_s and T_f are rounded


def test_what_has_no_first_subset_has_no_warm_start():
    kappa = Selection(fraction=0.1, kappa=0.5)
    assert epochs_of("full", kappa, 300) == EpochPlan(0, 300)
    stretched = Selection(warm_start_epochs=5, align="progress")
    assert epochs_of("cached", stretched, 40) == EpochPlan(0, 40)
    assert epochs_of("selector", stretched, 40) == EpochPlan(5, 40)
