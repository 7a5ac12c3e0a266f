"""A ladder: every configuration is trained for little, and the best of a rung for more."""

from tune_select.search.ladder.climb import Climb, Rules
from tune_select.search.ladder.ladder import ladder
from tune_select.search.ladder.order import LadderOrder
from tune_select.search.ladder.ranking import RankBy, Score, ranked
from tune_select.search.ladder.rungs import (
    LADDER,
    LADDER_KEYS,
    LEAVE_WEIGHTS,
    START_FROM,
    STRATEGY,
    WEIGHTS_FOLDER,
    Rung,
    check_rungs,
)

__all__ = [
    "LADDER",
    "LADDER_KEYS",
    "LEAVE_WEIGHTS",
    "START_FROM",
    "STRATEGY",
    "WEIGHTS_FOLDER",
    "Climb",
    "LadderOrder",
    "RankBy",
    "Rules",
    "Rung",
    "Score",
    "check_rungs",
    "ladder",
    "ranked",
]
