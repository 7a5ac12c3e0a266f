"""Kinds of arms, told from the selector that an arm names."""

from __future__ import annotations

from typing import Final, Literal

from tune_select.imports import check_name

ArmKind = Literal["seed", "cached", "full", "selector", "mini_batch"]
"""``seed`` publishes, ``cached`` replays, ``full`` trains on everything, ``selector`` chooses from
the whole training set and ``mini_batch`` from each mini-batch."""

SEED_ARM: Final = "seed"
FULL_ARM: Final = "full"
REPLAY_SELECTOR: Final = "cached"
COMPOSED_SELECTOR: Final = "cached_composed"


def is_replay(selector: str) -> bool:
    """Whether a selector's name stands for the replay of a history.

    ``cached`` and the transforms named after it (``cached_mixed``, ...) do; the import string of a
    class of one's own never does, whatever its module is called.
    """
    own = "." in selector or ":" in selector
    return selector == REPLAY_SELECTOR or (selector.startswith(f"{REPLAY_SELECTOR}_") and not own)


def kind_of(selector: str) -> ArmKind:
    """What an arm does whose selector is ``selector``.

    The import string of a class of one's own is imported, for only the class tells whether it
    chooses inside the mini-batch. What cannot be imported counts as a selector; whoever builds it
    says what is wrong with it.
    """
    if selector == SEED_ARM:
        return "seed"
    if selector == FULL_ARM:
        return "full"
    if is_replay(selector):
        return "cached"
    from tune_select.selection import minibatch  # imports PyTorch, which the names above need not

    return "mini_batch" if minibatch.is_selector_name(selector) else "selector"


def check_selector(field: str, selector: str, *, of_seed: bool = False) -> None:
    """Refuse a name that stands for nothing; import strings are left to whoever builds them.

    Args:
        field: The setting as the user wrote it.
        selector: Its value.
        of_seed: Whether it must choose from the whole training set, as what a seed trial runs.

    Raises:
        ValueError: No arm, or no seed, is of that name; says which one was probably meant.
    """
    from tune_select.selection import REPLAY_NAMES, SELECTOR_NAMES, minibatch

    others = () if of_seed else (SEED_ARM, *REPLAY_NAMES, *minibatch.SELECTOR_NAMES)
    check_name(selector, field, (*SELECTOR_NAMES, *others))
