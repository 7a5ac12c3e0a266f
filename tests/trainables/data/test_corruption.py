from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.corruption import Corruption, corrupt, noisy_targets
from trainables.data.settings.images import ImageSettings

LABELS = torch.arange(10).repeat_interleave(100)


@settings(deadline=None, max_examples=50)
@given(
    noise=st.floats(0, 0.99),
    share=st.floats(0, 1),
    keep=st.floats(0.01, 1),
    seed=st.integers(0, 2**31),
    classes=st.integers(2, 12),
    size=st.integers(12, 200),
)
def test_counts_are_exact_and_the_input_is_untouched(
    noise: float, share: float, keep: float, seed: int, classes: int, size: int
) -> None:
    labels = torch.arange(size) % classes
    before = labels.clone()
    kept, noisy = corrupt(labels, Corruption(noise, share, keep, seed), classes)
    assert torch.equal(labels, before)
    assert kept.unique().numel() == kept.numel() == noisy.numel()
    assert torch.equal(kept, kept.sort().values)
    wrong = int((noisy != labels[kept]).sum())
    assert wrong == round(noise * len(kept))
    assert set(noisy.tolist()) <= set(range(classes))
    sizes = torch.bincount(labels, minlength=classes)
    left = torch.bincount(labels[kept], minlength=classes)
    expected = max(1, round(share * classes)) if share > 0 and keep < 1 else 0
    reduced = torch.nonzero(left < sizes).flatten()
    assert len(reduced) <= expected
    assert all(int(left[c]) == max(1, round(keep * int(sizes[c]))) for c in reduced)
    assert int(left.min()) >= 1


def test_imbalance_is_the_papers_setting() -> None:
    kept, labels = corrupt(LABELS, Corruption(imbalanced_classes=0.3, keep=0.1), classes=10)
    assert torch.bincount(labels).sort().values.tolist() == [10] * 3 + [100] * 7
    assert torch.equal(labels, LABELS[kept])


def test_same_seed_same_data_other_seed_other_data() -> None:
    first, again, other = (
        corrupt(LABELS, Corruption(0.2, 0.3, 0.5, seed), 10) for seed in (3, 3, 4)
    )
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_levels_of_noise_are_nested() -> None:
    low = corrupt(LABELS, Corruption(label_noise=0.01), 10)[1]
    high = corrupt(LABELS, Corruption(label_noise=0.2), 10)[1]
    touched = low != LABELS
    assert int(touched.sum()) == 10
    assert torch.equal(low[touched], high[touched])


def test_wrong_labels_are_uniform_over_the_other_classes() -> None:
    labels = torch.zeros(9000, dtype=torch.int64)
    noisy = corrupt(labels, Corruption(label_noise=0.999), 10)[1]
    counts = torch.bincount(noisy, minlength=10)[1:].float()
    expected = counts.sum() / 9
    # Chi-squared with 8 degrees of freedom: 26.1 is its 99.9% quantile.
    assert float(((counts - expected) ** 2 / expected).sum()) < 26.1


def test_regression_targets_are_exchanged_within_the_share() -> None:
    targets = torch.arange(50.0)
    noisy = noisy_targets(targets, Corruption(label_noise=0.2, seed=1))
    assert int((noisy != targets).sum()) == 10
    assert torch.equal(noisy.sort().values, targets)
    assert torch.equal(noisy_targets(targets, Corruption()), targets)


def test_fingerprint_tells_every_recipe_apart() -> None:
    recipes = [
        Corruption(),
        Corruption(label_noise=0.1),
        Corruption(label_noise=0.1, seed=1),
        Corruption(label_noise=0.2),
        Corruption(imbalanced_classes=0.3, keep=0.1),
        Corruption(imbalanced_classes=0.3, keep=0.5),
        Corruption(label_noise=0.1, imbalanced_classes=0.3, keep=0.5),
    ]
    prints = [recipe.fingerprint("clean") for recipe in recipes]
    assert prints[0] == "clean"
    assert len(set(prints)) == len(prints)
    assert Corruption(seed=5).fingerprint("clean") == "clean"
    assert Corruption(label_noise=0.1).fingerprint("other") != prints[1]


def test_configuration() -> None:
    config = {
        "name": "digits",
        "label_noise": 0.1,
        "imbalance": {"classes": 0.3, "keep": 0.1},
        "corruption_seed": 7,
    }
    assert ImageSettings.of(config).corruption == Corruption(0.1, 0.3, 0.1, 7)


@pytest.mark.parametrize("field", ["label_noise", "imbalanced_classes", "keep"])
def test_bad_values_name_the_field(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field.removeprefix('imbalanced_')} must be in .*1.5"):
        Corruption(**{field: 1.5})


def test_a_single_class_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        corrupt(torch.zeros(5, dtype=torch.int64), Corruption(label_noise=0.5), classes=1)
