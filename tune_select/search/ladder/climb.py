"""Who goes up a ladder, and when: decisions as functions of what each rung has seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tune_select.search.ladder.ranking import RankBy, Score, ranked, stays_above


@dataclass(frozen=True)
class Rules:
    """How a ladder promotes.

    Attributes:
        rungs: Number of rungs, the top one (training on all the data to its end) included.
        keep: One in ``keep`` configurations of a rung goes up; at least 2.
        rank_by: What a rung's best are.
        confirm: How many of the rung below the top are trained to the end, if it sees as many.
        asynchronous: Whether a configuration goes up as soon as it is among the best of what its
            rung has seen, or when its whole rung is known. Li et al. (2020, Algorithm 2) let
            everybody go up who is among the best at some time, which of ever better proposals is
            nearly everybody; here no more have gone up at any time than one in ``keep`` of what
            the rung has seen. Whoever was held back by that goes up once the rung is known, if it
            still is among the best: all in all fewer than twice as many as without asynchrony.
            A full training begins early only where nothing that its rung has still to see can take
            its place, so that those that are trained fully are the same.
        warm: Whether a configuration that goes up begins with the weights that it ended with on the
            rung below, in place of fresh ones. Nothing else is carried on: each rung runs a whole
            schedule from its first rate, for which the end of another schedule is no preparation
            (Adam's second moments are those of annealed gradients, momentum points where the rate
            had shrunk to nothing).

    Raises:
        ValueError: A number is out of its range.
    """

    rungs: int
    keep: int = 9
    rank_by: RankBy = "both"
    confirm: int = 2
    asynchronous: bool = True
    warm: bool = False

    def __post_init__(self) -> None:
        if self.rungs < 2:
            raise ValueError(
                f"a ladder needs a rung below full training, got {self.rungs - 1}: give fractions, "
                "epochs or rungs"
            )
        if self.keep < 2:
            raise ValueError(f"keep must be at least 2 (one in keep goes up), got {self.keep}")
        if self.confirm < 1:
            raise ValueError(
                f"confirm must be at least 1, or nothing is chosen, got {self.confirm}"
            )
        if self.rank_by not in ("both", "accuracy", "loss"):
            raise ValueError(f"rank_by must be both, accuracy or loss, got {self.rank_by!r}")

    def sizes(self, configurations: int) -> list[int]:
        """How many configurations each rung trains, the lowest first, if it waits for all of them.

        One that does not wait sends up a few more, which were among the best when they were seen.
        """
        found = [configurations]
        while len(found) < self.rungs - 1:
            found.append(-(-found[-1] // self.keep))
        return [*found, min(self.confirm, found[-1])]


@dataclass
class Climb:
    """The state of a ladder. Plain data, so that a search algorithm's state carries it.

    Configurations are numbers. ``enter`` says that one starts at the bottom, ``close`` that no
    further ones will, ``report`` what a rung saw of one, and ``promote`` who goes up now.

    Attributes:
        rules: How it promotes.
        scores: What each rung has seen.
        entered: Who started on each rung, in order.
        closed: Whether the bottom takes no more.
    """

    rules: Rules
    scores: list[dict[int, Score]] = field(default_factory=list)
    entered: list[dict[int, None]] = field(default_factory=list)
    closed: bool = False
    _orders: dict[int, list[int]] = field(default_factory=dict)  # by rung, as long as nothing new
    _places: dict[int, dict[int, int]] = field(default_factory=dict)  # the same, by number

    def __post_init__(self) -> None:
        if not self.scores:
            self.scores = [{} for _ in range(self.rules.rungs)]
            self.entered = [{} for _ in range(self.rules.rungs)]

    def __getstate__(self) -> dict[str, Any]:
        """Without what is worked out again."""
        return {**self.__dict__, "_orders": {}, "_places": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state back, an older version's too."""
        self.__dict__.update({"_orders": {}, "_places": {}, **state})

    @property
    def top(self) -> int:
        """Number of the rung that trains on all the data to the end."""
        return self.rules.rungs - 1

    def enter(self, number: int) -> None:
        """A configuration starts at the bottom."""
        self.entered[0][number] = None

    def close(self) -> None:
        """No further configuration will start."""
        self.closed = True

    def report(self, rung: int, number: int, score: Score) -> None:
        """A rung has seen a configuration with all its training seeds.

        Args:
            rung: The number of the rung; 0 is the lowest.
            number: The number of the configuration.
            score: Its mean over the training seeds.
        """
        self.scores[rung][number] = score
        self._orders.pop(rung, None)
        self._places.pop(rung, None)

    def order(self, rung: int) -> list[int]:
        """Whom a rung has seen, best first; the top rung goes by the metric."""
        if rung not in self._orders:
            by: RankBy = "accuracy" if rung == self.top else self.rules.rank_by
            self._orders[rung] = ranked(self.scores[rung], by)
        return self._orders[rung]

    def _place(self, rung: int, number: int) -> int:
        """Where a configuration stands in a rung's order, from 0."""
        if rung not in self._places:
            self._places[rung] = {n: place for place, n in enumerate(self.order(rung))}
        return self._places[rung][number]

    def promote(self) -> tuple[int, int] | None:
        """Who goes up now, as (rung that it goes to, configuration), highest rung first.

        Whoever is returned has entered that rung; ``None`` when nobody may go up yet.
        """
        for rung in reversed(range(self.top)):
            for number in self._may_leave(rung):
                if number not in self.entered[rung + 1]:
                    self.entered[rung + 1][number] = None
                    return rung + 1, number
        return None

    def finished(self) -> bool:
        """Whether nothing runs and nobody may go up any more."""
        return self.settled(self.top)

    def settled(self, rung: int) -> bool:
        """Whether a rung has seen everybody whom it will ever see."""
        return not self._outstanding(rung) and self._is_filled(rung)

    def _outstanding(self, rung: int) -> int:
        """How many are on a rung that it has not seen yet."""
        return len(self.entered[rung]) - len(self.scores[rung])

    def _is_filled(self, rung: int) -> bool:
        """Whether everybody has started on a rung who ever will."""
        if rung == 0:
            return self.closed
        return self.settled(rung - 1) and all(
            number in self.entered[rung] for number in self._may_leave(rung - 1)
        )

    def highest(self, number: int) -> int:
        """The highest rung that has seen a configuration; -1 for none."""
        for rung in range(self.top, -1, -1):
            if number in self.scores[rung]:
                return rung
        return -1

    def resting(self) -> list[int]:
        """Configurations of which no trial runs, in the order in which they started."""
        return [
            number
            for number in self.entered[0]
            if (rung := self.highest(number)) >= 0
            and (rung == self.top or number not in self.entered[rung + 1])
        ]

    def failed(self, number: int) -> bool:
        """Whether a configuration left nothing at the highest rung that has seen it."""
        return self.scores[self.highest(number)][number].failed

    def best(self) -> int | None:
        """The answer: of those trained to the end, the best by the metric; ``None`` if none."""
        return next((n for n in self.order(self.top) if not self.scores[self.top][n].failed), None)

    def standing(self, number: int) -> float:
        """How far a configuration came, for a searcher that learns: larger is better.

        The rung that it reached, plus the share of that rung which it leaves behind. Metrics of
        different rungs do not compare (more data, or more epochs, change them in either direction);
        this way whoever climbed is above whoever stayed below, and equals within a rung are told
        apart by what ranks the rung.
        """
        rung = self.highest(number)
        size = len(self.order(rung))
        return rung + (size - self._place(rung, number) - 0.5) / size

    def is_decided(self, number: int, configurations: int) -> bool:
        """Whether a configuration stays where it is, as far as a searcher has to know.

        Full trainings begin once nothing new starts, when no proposal can hang on them any more: as
        long as the bottom is open, whoever has reached the rung below them is as high as it comes
        in time. Elsewhere whoever is too far back for all that the rung will see stays; one that
        does not wait may see more than its share, and so send up one in a while that was told of.

        Args:
            number: The number of the configuration.
            configurations: How many there will be in all; -1 for no end, which is taken as twice as
                many as have started, lest a searcher never learn anything.
        """
        rung = self.highest(number)
        if rung < 0 or (rung < self.top and number in self.entered[rung + 1]):
            return False
        if rung == self.top or self.scores[rung][number].failed:
            return True
        if rung == self.top - 1:  # a full training may fail, and the next best take its place
            return not self.closed or self.finished()
        if self.settled(rung):
            return number not in self._may_leave(rung)
        expected = configurations if configurations >= 0 else 2 * len(self.entered[0])
        # Places only get worse as more are seen; a sum of two ranks may do so less strictly.
        seen = max(self.rules.sizes(expected)[rung], len(self.scores[rung]))
        return self._place(rung, number) >= math.ceil(seen / self.rules.keep)

    def _may_leave(self, rung: int) -> list[int]:
        """Those whom a rung lets go up, best first, whether they have gone or not."""
        seen = self.scores[rung]
        settled = self.settled(rung)
        if not settled and not self.rules.asynchronous:
            return []
        if rung == self.top - 1:
            quota = self.rules.confirm + self._failed_at_the_top()
            if not settled:
                return self._sure_of(quota, rung)
        else:
            # Everybody's quota is rounded down while more may come, and up once the rung is known.
            share = len(seen) / self.rules.keep
            quota = math.ceil(share) if settled else math.floor(share)
            if not settled and len(self.entered[rung + 1]) >= quota:
                return []  # those who went before count, whatever has overtaken them since
        return [n for n in self.order(rung)[:quota] if not seen[n].failed]  # who failed comes last

    def _sure_of(self, quota: int, rung: int) -> list[int]:
        """Who will be among the best ``quota`` of a rung, whatever it sees of those still on it.

        So a slot that has nothing left below begins a full training before the rung is known.
        """
        seen, room = self.scores[rung], quota - self._outstanding(rung)
        if room <= 0 or not self._is_filled(rung):
            return []

        def is_sure(number: int) -> bool:
            above = [stays_above(seen[number], seen[n], self.rules.rank_by) for n in seen]
            return not seen[number].failed and above.count(False) <= room  # its own among them

        return [number for number in self.order(rung)[:room] if is_sure(number)]

    def _failed_at_the_top(self) -> int:
        """Full trainings that left nothing: the next best take their places."""
        return sum(score.failed for score in self.scores[self.top].values())
