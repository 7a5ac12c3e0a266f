"""What is known of one MLflow run, and which points of a report are new to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .events import from_ranges

if TYPE_CHECKING:
    from mlflow.entities import Run

Point = tuple[int, int, Mapping[str, float]]  # step, time in ms, values by name


class NewPoints(NamedTuple):
    """What is left of reported points.

    Attributes:
        points: Those to log.
        last_step: The run's last step once they are.
        repeated: Steps that were reported more than once.
    """

    points: list[Point]
    last_step: int
    repeated: frozenset[int]


@dataclass
class KnownRun:
    """What the sender knows of one MLflow run.

    Attributes:
        run_id: MLflow's id.
        open: Whether its status is RUNNING.
        params: Parameters by name, those that changed on the way included.
        tags: Tags by name.
        last_step: Step of the newest point.
        logged: (step, time in ms) of the points found on resuming.
        repeated: Steps that a restarted trial has reported again.
        stale: Its points were logged by an earlier writer and are not known yet.
    """

    run_id: str
    open: bool = False
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    last_step: int = -1
    logged: set[tuple[int, int]] = field(default_factory=set)
    repeated: frozenset[int] = frozenset()
    stale: bool = False

    @classmethod
    def of(cls, run: Run) -> KnownRun:
        """A run that MLflow has."""
        tags = dict(run.data.tags)
        # Parameters that changed on the way (PBT) live in tags.
        changed = {
            key.removeprefix("param/"): value
            for key, value in tags.items()
            if key.startswith("param/")
        }
        return cls(
            run.info.run_id,
            open=run.info.status == "RUNNING",
            params={**run.data.params, **changed},
            tags=tags,
            stale=bool(run.data.metrics),
            repeated=from_ranges(tags.get("repeated_epochs", "")),
        )

    def new_points(self, points: Iterable[Point]) -> NewPoints:
        """Those of ``points`` that are neither logged already nor repetitions; changes nothing."""
        fresh: list[Point] = []
        last_step, repeated = self.last_step, set(self.repeated)
        for step, time_ms, values in points:
            if (step, time_ms) in self.logged:
                continue  # sent by a writer that died before it could note so
            if step <= last_step:
                repeated.add(step)  # a restarted trial repeats what it had already reported
                continue
            last_step = step
            fresh.append((step, time_ms, values))
        return NewPoints(fresh, last_step, frozenset(repeated))
