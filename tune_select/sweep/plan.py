"""What a sweep will do, checked as far as possible before any trial starts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tune_select.arms import RESOLVED_ARM, SEED_ARM, publishing
from tune_select.history.location import history_key
from tune_select.imports import import_string
from tune_select.mappings import has_key, nested_at
from tune_select.search.crossing import CONFIGURATION
from tune_select.search.earlier import can_be_told
from tune_select.search.size import check_size
from tune_select.search.space import Space, merged, resolve_space
from tune_select.sweep.algorithms import VARIANTS, make_scheduler, make_searcher
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.continuing.joined import Continued, continued
from tune_select.sweep.module_path import add_to_path
from tune_select.sweep.pace.evaluation import evaluation_of
from tune_select.sweep.sections import ArmConfig
from tune_select.wording import did_you_mean, shown


@dataclass(frozen=True)
class Plan:
    """A checked sweep.

    Attributes:
        config: The config as written.
        trainable: The class or function that trains.
        space: What varies.
        metric: The validation metric that searches optimise.
        mode: ``"min"`` or ``"max"``.
        continued: What it goes on from, if it does.
    """

    config: SweepConfig
    trainable: Any
    space: Space
    metric: str
    mode: str
    continued: Continued | None = field(default=None, compare=False, repr=False)

    def base_config(self) -> dict[str, Any]:
        """The trial configuration before the space, the arm and the seed are laid over it."""
        config = self.config
        return {
            **config.train,
            "data": dict(config.data),
            "selection": _without_empty(config.selection.model_dump(), "rungs"),
            "evaluation": evaluation_of(config, self.scheduler()),
            "history": None,
        }

    def seed_configs(self, root: str, store: str) -> list[dict[str, Any]]:
        """One configuration per seed trial: one, or one per value of the ``seed_by`` axes.

        Args:
            root: Where the histories lie, a path or URI.
            store: Name of the store actor.
        """
        axes, seeds = self._seed_axes(), []
        for chosen in itertools.product(*self.seed_values()):
            config = self.base_config() | {
                "seed": self.config.train.get("seed", self.config.tune.seeds[0]),
                "history": self.location(root, store),
            }
            for axis, value in zip(axes, chosen, strict=True):
                config = merged(config, nested_at(axis, value))
            arms = [self.config.arm(name) for name in self.config.replay_arms()]
            seeds.append(publishing(self.config.arm(SEED_ARM).on(config), arms))
        return seeds

    def seeds_to_run(self, root: str, store: str) -> list[dict[str, Any]]:
        """Those of the seed trials whose history no earlier sweep has left; ``seed_configs``."""
        if not self.config.needs_seed():
            return []
        there = {} if self.continued is None else self.continued.histories
        seeds = self.seed_configs(root, store)
        return [config for config in seeds if self.history_of(config) not in there]

    def param_space(self, root: str, store: str) -> dict[str, Any]:
        """The base configuration with the space laid over it; arms and seeds are the search's.

        Args:
            root: Where the sweep's own histories lie, a path or URI.
            store: Name of the store actor.
        """
        location = self.config.history or self.location(root, store)
        return merged(self.base_config() | {"history": location}, self.space.params)

    def location(self, root: str, store: str) -> dict[str, Any]:
        """What a trial is told of the sweep's own histories; see ``history_location``."""
        return {"root": root, "store": store, "seed_by": self._seed_axes()}

    def histories_of(self, config: Mapping[str, Any]) -> list[str]:
        """Folder names of the seed trials' histories that a trial writes, replays or draws from."""
        arm = str(config.get("arm"))
        if not self.config.needs_seed() or arm not in (SEED_ARM, *self.config.replay_arms()):
            return []
        location = config.get("history")
        if isinstance(location, Mapping) and "path" in location:  # the nearest seed's
            return [str(location["path"]).rpartition("/")[2]]
        composed = arm in self.config.composed_arms()
        seeds = self.config.tune.seeds if composed else [config["seed"]]
        return [self.history_of({**config, "seed": seed}) for seed in seeds]

    def history_of(self, config: Mapping[str, Any]) -> str:
        """Folder name of the history that the seed trial with a trial's values writes."""
        return history_key(config, self._seed_axes())

    def seed_values(self) -> list[list[Any]]:
        """What seed trials are crossed from: the values of each axis that tells them apart."""
        if not self.config.needs_seed():
            return []
        return [self._seed_values(axis) for axis in self._seed_axes()]

    def _seed_axes(self) -> list[str]:
        """What tells seed trials apart: ``tune.seed_by``, and the algorithm where arms differ."""
        own = ["selection.algorithm"] if len(self.config.algorithms()) > 1 else []
        return [*self.config.tune.seed_by, *own]

    def _seed_values(self, axis: str) -> list[Any]:
        given = self.config.tune.seed_by
        if isinstance(given, dict) and axis in given:
            return list(given[axis])
        if axis == "seed":
            return list(self.config.tune.seeds)
        if axis == "selection.algorithm" and axis not in self.space.axes:
            return list(self.config.algorithms())
        return self.space.grid_values(axis)

    def scheduler(self) -> TrialScheduler:
        """A new base scheduler of the replays; see ``make_scheduler``."""
        return make_scheduler(self.config)

    def searcher(self) -> Searcher | None:
        """A new searcher of the space; see ``make_searcher``."""
        # A search that goes on must not draw again what the first one drew at its start.
        drawn = 0 if self.continued is None else len(self.continued.earlier.points)
        return make_searcher(self.config, self.space, self.metric, self.mode, drawn=drawn)

    @property
    def num_samples(self) -> int:
        """Points that a searcher proposes; samples per grid cell otherwise."""
        return max(1, len(self.space.points)) * self.config.tune.num_samples

    def trials_text(self) -> str:
        """One line for people: which arms, over what."""
        arms = ", ".join(self.config.arm_names())
        seeds = len(self.seeds_to_run("", ""))
        seed = f"{'one seed trial' if seeds == 1 else f'{seeds} seed trials'}, then " * (seeds > 0)
        if self.continued is not None:
            trained, more = len(self.continued.earlier.points), self.continued.earlier.more
            seed = f"{trained} configurations trained before, then {seed}{more} more: "
        over = ", ".join(self.space.axes) or "a define-by-run space"
        rivals = ", ".join(rival.name for rival in self.config.rival_searches())
        climb = "a ladder of " * (self.config.tune.ladder is not None)
        after = f"; then {rivals} on all the data" * bool(rivals)
        return f"{seed}{climb}{arms} over {over}, searched by {self.config.tune.searcher}{after}"


def make_plan(config: SweepConfig) -> Plan:
    """Check everything about a sweep that can be known without data or a cluster.

    Raises:
        SweepError: The field, its value and the remedy.
    """
    add_to_path(config.modules)
    try:
        trainable = import_string(config.trainable, "trainable")
        space = resolve_space(config.space)
        metric = config.tune.metric or f"val_{getattr(trainable, 'metric', 'accuracy')}"
        mode = str(config.tune.mode or getattr(trainable, "mode", "max"))
        plan = Plan(config, trainable, space, metric, mode)
        _check_size(plan)
        space.examples()
        _check_axes(space, config.train)
        if config.tune.ladder is not None:
            config.tune.ladder.check_trainable(trainable, config.trainable)
            config.tune.ladder.check_axes(space.axes)
        _check_space_keys(plan)
        _check_arm_keys(plan)
        if config.needs_seed():
            _check_seeds(plan)
        evaluation_of(config, plan.scheduler())
        if config.continues is not None:
            found = continued(config, space, plan.base_config(), metric)
            plan = replace(plan, continued=found)
        _check_can_go_on(plan, plan.searcher())
    except (ValueError, TypeError) as error:
        raise SweepError(str(error)) from None
    return plan


def _check_can_go_on(plan: Plan, searcher: Searcher | None) -> None:
    if plan.continued is not None and searcher is not None and not can_be_told(searcher):
        raise SweepError(
            f"tune.searcher {plan.config.tune.searcher!r} cannot be told of configurations that it "
            "did not propose (it has no add_evaluated_point), so it cannot go on from other "
            "sweeps; set tune.searcher: optuna, random or grid"
        )


def _check_arm_keys(plan: Plan) -> None:
    """Refuse an arm's unknown keys: it may set any of ``train``, and what it has of its own.

    Which keys ``train`` takes, the trainable knows; where it does not say, those that stand there.
    """
    names = _setting_names(plan.trainable)
    in_use = {*plan.config.train, *(axis.split(".")[0] for axis in plan.space.axes)}
    known = set(in_use if names is None else names) - {"selection", "data", "seed"}
    written = set(ArmConfig.model_fields)
    for arm in plan.config.named_arms():
        for key, value in arm.training().items():
            if key in known:
                continue
            meant = did_you_mean(key, known | written)
            raise SweepError(f"arms.{arm.name}.{key}={shown(value)} is an unknown key; {meant}")


def _setting_names(trainable: Any) -> set[str] | None:
    """The keys that ``train`` may have, where the trainable says."""
    names = getattr(trainable, "setting_names", None)
    return None if names is None else set(names())


def _check_size(plan: Plan) -> None:
    config, listed = plan.config, plan.config.tune.searcher in VARIANTS or plan.space.points
    check_size(
        plan.space.cells if listed else 1,  # a searcher proposes points; of a grid, all are drawn
        config.tune.num_samples,
        len(config.arm_names()) + len(config.rivals),
        len(config.tune.seeds),
        plan.seed_values(),
    )


def _check_axes(space: Space, train: Mapping[str, Any]) -> None:
    """Refuse what is set for every trial, here rather than in the middle of a run."""
    ours = {"arm", CONFIGURATION, RESOLVED_ARM}
    tops = {key.split(".")[0] for key in _keys_of(space)}
    axes = {axis.split(".")[0] for axis in space.axes}
    taken = sorted(ours & tops | ({"seed"} & axes if not space.points else set()))
    if taken:
        raise SweepError(f"space sets {taken}, which are set for every trial: use arms and seeds")
    taken = sorted(ours & {str(key) for key in train})
    if taken:
        raise SweepError(f"train sets {taken}, which are set for every trial: use arms")


def _keys_of(space: Space) -> list[str]:
    keys = (*space.axes, *space.params, *(key for point in space.points for key in point))
    return list(dict.fromkeys(map(str, keys)))


def _check_space_keys(plan: Plan) -> None:
    """Refuse unknown keys of ``space``, where the trainable says which it has.

    The trials' own check would find them too, but only after a seed was asked for a value of each.
    """
    names = _setting_names(plan.trainable)
    known = {*plan.config.train, *(names or ()), "data", "selection", "seed"}
    for key in _keys_of(plan.space):
        top, _, inner = key.partition(".")
        if top == "train" and top not in known:
            raise SweepError(
                f"space.{key} names a key of train with train before it; in space such a key "
                f"stands by itself: {inner or 'learning_rate'}"
            )
        if names is not None and top not in known:
            raise SweepError(f"space.{key} is an unknown key; {did_you_mean(top, known)}")


def _check_seeds(plan: Plan) -> None:
    """A seed trial needs a value of its own for every axis that the others search."""
    for seed in plan.seed_configs("", ""):
        for axis in plan.space.axes:
            if not has_key(seed, axis):
                where = axis if "." in axis else f"train.{axis}"
                raise SweepError(
                    f"{where} is missing: space searches {axis}, and the seed trial needs a value "
                    "of its own for it"
                )


def _without_empty(table: dict[str, Any], key: str) -> dict[str, Any]:
    """The table without a key that says nothing, so that older sweeps' trials stay the same."""
    return {name: value for name, value in table.items() if name != key or value}
