"""The evaluation table: one plan, and errors that name the field."""

from __future__ import annotations

import re
from typing import Any

import pytest

from trainables.settings.trial import parse_settings


def test_the_older_key_still_sets_the_interval() -> None:
    assert parse_settings({"eval_every": 5}).evaluation.every == 5
    assert parse_settings({}).evaluation.every == 1
    assert parse_settings({"evaluation": {"share": 0.1}}).evaluation.every is None


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ({"every": 2, "share": 0.1}, "evaluation: every (2) and share (0.1) are two plans"),
        ({"every": 0}, "evaluation.every must be"),
        ({"share": 0}, "evaluation.share must be"),
        ({"share": 1.5}, "evaluation.share must be"),
        ({"validation_part": 0.0}, "evaluation.validation_part must be"),
        ({"validation_part": "some"}, "evaluation.validation_part must be"),
        ({"test": "no"}, "evaluation.test must be last, every or never"),
        ({"milestones": [0]}, "evaluation.milestones[0] must be an integer of at least 1"),
        ({"milestones": 4}, "evaluation.milestones must be a list"),
        ({"evry": 3}, "evaluation.evry=3 is an unknown key; did you mean every"),
        ([1], "evaluation must be a mapping"),
    ],
)
def test_mistakes_name_the_field(evaluation: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_settings({"evaluation": evaluation})


def test_two_names_for_one_thing_must_agree() -> None:
    with pytest.raises(ValueError, match="eval_every=3, which is its older name"):
        parse_settings({"eval_every": 3, "evaluation": {"every": 2}})
