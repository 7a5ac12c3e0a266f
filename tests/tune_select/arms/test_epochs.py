from hypothesis import given
from hypothesis import strategies as st

from tune_select.arms import EpochPlan, Selection, epochs_of


def test_kappa_is_the_papers_example():
    """10% of the data, 300 epochs: 15 full epochs, then 150 on the subset (section 3.2)."""
    assert epochs_of("selector", Selection(fraction=0.1, kappa=0.5), 300) == EpochPlan(15, 165)


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
