"""In which order a ladder's trials are handed out: whoever may go up first, then the bottom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from tune_select.arms import FULL_ARM, SEED_ARM, Arm
from tune_select.search.crossing import Assignment
from tune_select.search.ladder.climb import Climb, Rules
from tune_select.search.ladder.ranking import Score
from tune_select.search.ladder.rungs import (
    BELOW_ALL,
    LADDER,
    LEAVE_WEIGHTS,
    PROMOTED_FROM,
    RUNG,
    RUNG_NAME,
    START_FROM,
    STRATEGY,
)
from tune_select.search.trial_order import Exhausted, TrialOrder

Measure = Callable[[Mapping[str, Any]], Score]
"""From a trial's last report to its score."""


@dataclass
class LadderOrder(TrialOrder):
    """A ``TrialOrder`` whose points start at the lowest rung and go up as the climb says.

    Attributes:
        rungs: Arms of the rungs from the lowest; the last trains on all the data to the end.
        rules: How the ladder promotes.
        measure: The function from a trial's last report to its score.
        climb: The ladder's state.
    """

    rungs: Sequence[Arm] = ()
    rules: Rules = field(default_factory=lambda: Rules(2))
    measure: Measure = field(default=lambda report: Score(0.0))
    climb: Climb = field(init=False)
    _at: dict[str, tuple[int, int, Any]] = field(default_factory=dict)  # rung, number, seed
    _trials: dict[tuple[int, int, Any], str] = field(default_factory=dict)
    _points_by_number: dict[int, tuple[Mapping[str, Any], int]] = field(default_factory=dict)
    _left: dict[tuple[int, int], list[Score | None]] = field(default_factory=dict)
    _without_weights: set[str] = field(default_factory=set)  # trials of a warm ladder that failed

    def __post_init__(self) -> None:
        super().__post_init__()
        self.climb = Climb(self.rules)

    def next(
        self, draw: Callable[[int], Mapping[str, Any] | None], *, eager: bool
    ) -> Assignment | None:
        """As ``TrialOrder.next``; a promotion comes before a new point.

        Of several the lowest comes first: what runs on a rung decides who else leaves it.
        """
        promoted = sorted(iter(self.climb.promote, None), key=itemgetter(0))
        jobs = [job for up in promoted for job in self._jobs(*up)]
        self._backlog.extendleft(reversed(jobs))
        try:
            return super().next(draw, eager=eager)
        except Exhausted:
            if not self.climb.closed:
                self.climb.close()  # the rungs settle, which may let others go up
                return self.next(draw, eager=eager)
            if self.climb.finished() or not self._live:
                raise
            return None

    def total(self, points: int) -> int:
        """Trials in all, as far as can be told: more where a configuration goes up early."""
        if points < 0:
            return super().total(points)
        trials = sum(self.rules.sizes(points)) * len(self.crossing.seeds)
        return len(self.crossing.seed_configs) + trials

    def handed_out(self, trial_id: str, assignment: Assignment) -> None:
        """Remember under which id a trial runs, and where on the ladder."""
        super().handed_out(trial_id, assignment)
        if assignment.is_seed:
            return
        seed = assignment.config[self.crossing.seed_key]
        place = (assignment.config[RUNG], assignment.number, seed)
        self._at[trial_id], self._trials[place] = place, trial_id

    def note_end(self, trial_id: str, result: Mapping[str, Any] | None, *, error: bool) -> None:
        """Learn that a trial has ended for good; the rung knows once all training seeds have."""
        super().note_end(trial_id, result, error=error)
        if trial_id not in self._at:
            return
        rung, number, _ = self._at[trial_id]
        left = self._left.setdefault((rung, number), [])
        left.append(self.measure(result) if result and not error else None)
        if self.rules.warm and left[-1] is None:
            self._without_weights.add(trial_id)
        if len(left) == len(self.crossing.seeds):
            self.climb.report(rung, number, _mean([score for score in left if score is not None]))

    def drawing_of(self, number: int) -> int:
        """Which drawing a configuration came from."""
        return self._points_by_number[number][1]

    def cross(self, point: Mapping[str, Any]) -> list[Assignment]:
        """As ``TrialOrder``: what the point trains at the lowest rung."""
        drawing = self._points
        number = self._number_of(point)
        if number in self._points_by_number:  # a seed's configuration, proposed again
            number = len(self.crossing.seed_configs) + self._numbers
            self._numbers += 1
        self._points_by_number[number] = (point, drawing)
        self._points += 1
        self.climb.enter(number)
        return self._jobs(0, number)

    def _jobs(self, rung: int, number: int) -> list[Assignment]:
        """The trials of a configuration at a rung, one for each training seed."""
        point, drawing = self._points_by_number[number]
        arm, jobs = self.rungs[rung], []
        for seed in self.crossing.seeds:
            below = self._trials.get((rung - 1, number, seed), "")
            place: dict[str, Any] = {
                STRATEGY: LADDER,
                RUNG: rung,
                RUNG_NAME: FULL_ARM if rung == self.climb.top else arm.name,
                PROMOTED_FROM: below,
            }
            if self.rules.warm:
                place |= self._weights(rung, below)
            job = self._assignment({**point, **place}, arm, seed, number, drawing)
            self._check_replay(job)
            jobs.append(job)
        return jobs

    def _weights(self, rung: int, below: str) -> dict[str, Any]:
        """What a trial of a warm ladder begins with, and whether it leaves its own.

        With several training seeds a configuration goes up by those that were trained; the others
        begin afresh.
        """
        start = "" if below in self._without_weights else below
        return {START_FROM: start, LEAVE_WEIGHTS: rung < self.climb.top}

    def _seed(self, index: int) -> Assignment:
        """As ``TrialOrder``; what a seed trial costs is the ladder's."""
        assignment = super()._seed(index)
        place = {STRATEGY: LADDER, RUNG: BELOW_ALL, RUNG_NAME: SEED_ARM}
        return replace(assignment, config={**assignment.config, **place})


def _mean(scores: Sequence[Score]) -> Score:
    finite = [score for score in scores if not score.failed]
    if not finite:
        return Score(float("nan"))
    count = len(finite)
    return Score(sum(s.metric for s in finite) / count, sum(s.loss for s in finite) / count)
