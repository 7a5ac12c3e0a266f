"""Arms: what trains on what, and with which of the sweep's settings changed.

Pure: neither Ray nor a configuration file. An ``Arm`` is crossed with a point of the space once,
``arm_of`` reads what came of it from the trial's configuration, anywhere and ever after.
"""

from tune_select.arms.arm import (
    RESOLVED_ARM,
    Arm,
    ArmOfTrial,
    arm_of,
    final_settings,
    point_of,
    publishing,
    settled,
)
from tune_select.arms.epochs import EpochPlan, epochs_of
from tune_select.arms.kinds import (
    COMPOSED_SELECTOR,
    FULL_ARM,
    REPLAY_SELECTOR,
    SEED_ARM,
    ArmKind,
    check_selector,
    is_replay,
    kind_of,
)
from tune_select.arms.looks import Looks
from tune_select.arms.selection import Selection
from tune_select.arms.training import BOOKKEEPING, training_key

__all__ = [
    "BOOKKEEPING",
    "COMPOSED_SELECTOR",
    "FULL_ARM",
    "REPLAY_SELECTOR",
    "RESOLVED_ARM",
    "SEED_ARM",
    "Arm",
    "ArmKind",
    "ArmOfTrial",
    "EpochPlan",
    "Looks",
    "Selection",
    "arm_of",
    "check_selector",
    "epochs_of",
    "final_settings",
    "is_replay",
    "kind_of",
    "point_of",
    "publishing",
    "settled",
    "training_key",
]
