"""What a slip of the pen was probably meant to be."""

import pytest

from tune_select.wording import did_you_mean, not_among

SETTINGS = ("learning_rate", "batch_size", "weight_decay", "max_epochs", "model", "momentum")


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("Learning-Rate ", SETTINGS, "learning_rate"),
        ("learnign_rate", SETTINGS, "learning_rate"),
        ("lr", SETTINGS, "learning_rate"),
        ("BS", SETTINGS, "batch_size"),
        ("epochs", SETTINGS, "max_epochs"),
        ("ASHAScheduler", ("fifo", "asha", "hyperband"), "asha"),
        ("AsyncHyperBandScheduler", ("fifo", "asha", "hyperband"), "hyperband"),
        ("decay", SETTINGS, "weight_decay"),
        ("MNIST ", ("cifar10", "mnist", "fashion_mnist"), "mnist"),
        ("ResNet-18", ("resnet18", "vit"), "resnet18"),
    ],
)
def test_likely_slips_are_guessed(written: str, known: tuple[str, ...], meant: str) -> None:
    assert did_you_mean(written, known) == f"did you mean {meant}?"


@pytest.mark.parametrize("written", ["", " ", "x", "-", None, 3, "something_else"])
def test_where_nothing_is_near_all_are_named(written: object) -> None:
    assert did_you_mean(written, SETTINGS) == f"known: {', '.join(SETTINGS)}"
    assert not_among("a.b", written, SETTINGS).endswith(f"got {written!r}")


def test_sets_are_named_in_order_and_nothing_of_nothing() -> None:
    assert did_you_mean("zz", {"b", "a"}) == "known: a, b"
    assert did_you_mean("zz", ()) == "known: none"
