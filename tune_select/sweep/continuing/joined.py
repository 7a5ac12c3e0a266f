"""What finished sweeps leave to the one that goes on from them: points, tables and histories."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from pyarrow import fs as pafs

from tune_select.arms import SEED_ARM, point_of
from tune_select.history.folder import FolderHistory
from tune_select.search.earlier import Earlier, EarlierPoint, point_key
from tune_select.search.space import Space, merged, resolve_space
from tune_select.storage import Folder
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.continuing.fits import check_same_trials, space_changes
from tune_select.sweep.continuing.folders import FinishedSweep, all_finished
from tune_select.sweep.folder.results_folder import ResultsFolder

_ENDED = ("finished", "stopped")
FROM = "from_sweep"
"""Column of ``trials.parquet``: the name of the earlier sweep that a trial is from."""


@dataclass(frozen=True)
class Continued:
    """What a sweep goes on from.

    Attributes:
        earlier: The points, for the search.
        trials: Rows of all earlier trials, configurations numbered anew where sweeps had given two
            points one number.
        epochs: Their epochs.
        stays: Their times in slots.
        runs: When the earlier commands ran.
        configs: The earlier searches' configurations by trial id.
        histories: Names and places of the complete histories.
        said: Sentences for people: which changes of the space leave earlier points outside.
    """

    earlier: Earlier
    trials: pd.DataFrame
    epochs: pd.DataFrame
    stays: pd.DataFrame
    runs: tuple[Mapping[str, Any], ...]
    configs: Mapping[str, Mapping[str, Any]]
    histories: Mapping[str, str]
    said: tuple[str, ...]

    def new_among(self, points: Sequence[Mapping[str, Any]], base: Mapping[str, Any]) -> list[Any]:
        """Those of a space's points, laid over ``base``, that are new, as many as are asked for."""
        new = [p for p in points if self.earlier.find(merged(base, p)) is None]
        return new[: self.earlier.more]

    def promoted(self) -> frozenset[int]:
        """Numbers of the configurations that earlier sweeps have trained on all the data."""
        done = self.trials[self.trials["phase"] == "promotion"]
        return frozenset(done.loc[done["status"].isin(_ENDED), "configuration"].astype(int))

    def ended(self, arm: str) -> list[dict[str, Any]]:
        """The rows of an arm's search trials that ended by themselves."""
        rows = self.trials[(self.trials["phase"] == "search") & (self.trials["arm"] == arm)]
        ended = rows[rows["status"].isin(_ENDED)].to_dict("records")
        return [{str(name): value for name, value in row.items()} for row in ended]

    def leave_to(self, folder: ResultsFolder) -> None:
        """Copy the histories and the times of the earlier commands into a new results folder."""
        for name, place in self.histories.items():
            source, target = Folder.at(place), Folder.at(f"{folder.history_root}/{name}")
            target.filesystem.create_dir(target.path, recursive=True)
            pafs.copy_files(
                source.path,
                target.path,
                source_filesystem=source.filesystem,
                destination_filesystem=target.filesystem,
            )
        folder.write("runs.json", json.dumps(list(self.runs)).encode())


def continued(config: SweepConfig, space: Space, base: Mapping[str, Any], metric: str) -> Continued:
    """Read what a sweep goes on from.

    Args:
        config: The configuration of the sweep, with ``continues``.
        space: Its space.
        base: A trial's configuration before the space is laid over it.
        metric: What the search optimises.

    Raises:
        SweepError: A folder holds no finished sweep, or its trials do not compare with this one's.
    """
    assert config.continues is not None
    if config.tune.ladder is not None:
        raise SweepError("continues: a ladder cannot go on from other sweeps; take tune.ladder out")
    sweeps = all_finished(config.continues.folders)
    for sweep in sweeps:
        check_same_trials(sweep.config, config, sweep.location)
        _check_metric(sweep, config, metric)
    joined = [_numbered(sweep, numbers) for sweep, numbers in _numbers(sweeps)]
    trials = pd.concat([trials for trials, _ in joined], ignore_index=True)
    configs = {key: value for _, found in joined for key, value in found.items()}
    points = _points(trials, configs, config.primary_arm(), metric)
    said = [
        sentence
        for sweep in sweeps
        for sentence in space_changes(resolve_space(sweep.config.space), space, base, points)
    ]
    found = Continued(
        Earlier(points, config.continues.more),
        trials,
        _concat([sweep.table("epochs") for sweep in sweeps]),
        _concat([sweep.table("slots") for sweep in sweeps]),
        _runs(sweeps),
        configs,
        _histories(sweeps, config),
        tuple(dict.fromkeys(said)),
    )
    if space.listed() and not found.new_among(space.listed(), base):
        raise SweepError(
            f"continues: all {len(space.listed())} configurations that space lists have been "
            "trained; give it more values, or ranges with tune.searcher: optuna or random"
        )
    return found


def with_histories(found: Continued, names: frozenset[str]) -> Earlier:
    """The earlier points, and under which names the search knows the complete histories."""
    return replace(found.earlier, histories=names)


def _check_metric(sweep: FinishedSweep, config: SweepConfig, metric: str) -> None:
    before = sweep.config.tune.metric
    if before != metric:
        raise SweepError(
            f"tune.metric is {metric!r}, but {sweep.location} searched by {before!r}; set it back"
        )


def _numbers(sweeps: Sequence[FinishedSweep]) -> list[tuple[FinishedSweep, dict[str, int]]]:
    """By sweep, the number of each search trial's point: its own, unless another point has it."""
    number_of: dict[str, int] = {}
    result = []
    for sweep in sweeps:
        numbers = {}
        for trial_id, config in sorted(
            sweep.configs().items(), key=lambda item: int(item[1].get("configuration", -1))
        ):
            key, own = point_key(config), int(config.get("configuration", 0))
            if key not in number_of:
                taken = set(number_of.values())
                number_of[key] = own if own not in taken else max(taken) + 1
            numbers[trial_id] = number_of[key]
        result.append((sweep, numbers))
    return result


def _numbered(
    sweep: FinishedSweep, numbers: Mapping[str, int]
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """A sweep's own trials and configurations with the joint numbers of their points."""
    trials = sweep.table("trials")
    if FROM in trials:  # those that it went on from come by themselves
        trials = trials[trials[FROM].isna()].drop(columns=FROM)
    by_number = {
        int(number): numbers[str(trial_id)]
        for trial_id, number in zip(trials["trial_id"], trials["configuration"], strict=True)
        if str(trial_id) in numbers
    }
    joint = [by_number.get(int(number), int(number)) for number in trials["configuration"]]
    configs = {
        trial_id: {**config, "configuration": numbers[trial_id]}
        for trial_id, config in sweep.configs().items()
    }
    named = trials.assign(**{"configuration": joint, FROM: sweep.config.name})
    return named, configs


def _points(
    trials: pd.DataFrame,
    configs: Mapping[str, Mapping[str, Any]],
    arm: str,
    metric: str,
) -> tuple[EarlierPoint, ...]:
    """Every point that a trial other than a seed has been trained at."""
    primary = trials[
        (trials["phase"] == "search") & (trials["arm"] == arm) & trials["status"].isin(_ENDED)
    ]
    column = metric if metric in primary else f"best_{metric}"
    values = primary.groupby("configuration")[column].mean() if column in primary else {}
    found: dict[int, EarlierPoint] = {}
    for config in configs.values():
        number = int(config["configuration"])
        if config.get("arm") != SEED_ARM and number not in found:
            value = values.get(number)
            known = None if value is None or pd.isna(value) else float(value)
            found[number] = EarlierPoint(point_of(config), number, known)
    return tuple(found[number] for number in sorted(found))


def _histories(sweeps: Sequence[FinishedSweep], config: SweepConfig) -> dict[str, str]:
    """The complete histories of all sweeps; two of one name must hold the same subsets.

    Sweeps whose seed trials were trained alike have selected alike, at other times and in other
    seconds: a replay of the one is a replay of the other.
    """
    if not config.needs_seed():
        return {}
    found: dict[str, str] = {}
    for sweep in sweeps:
        for name, place in sweep.histories().items():
            other = found.setdefault(name, place)
            if other != place and _subsets(other) != _subsets(place):
                raise SweepError(
                    f"continues.folders: {other} and {place} hold different subsets, whose replays "
                    "cannot be told apart in one report; go on from sweeps that share a history"
                )
    if not found:
        raise SweepError(
            f"continues.folders: no complete history is left in {sweeps[0].location}/history"
        )
    return found


def _subsets(place: str) -> list[Any]:
    """What of a history its replays train on: the data, and epochs and files of each interval."""
    manifest = FolderHistory(place).manifest()
    files = (
        (record.start, record.end, [file.sha256 for file in record.subsets().values()])
        for record in manifest.intervals
    )
    return [manifest.identity.dataset, manifest.identity.warm_start_epochs, *files]


def _runs(sweeps: Sequence[FinishedSweep]) -> tuple[Mapping[str, Any], ...]:
    """When the commands of all sweeps ran; one that went on from another holds the other's."""
    runs = {run["started"]: run for sweep in sweeps for run in sweep.runs()}
    return tuple(runs[started] for started in sorted(runs))


def _concat(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table; rows that a sweep holds of the one that it went on from stand once."""
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame()
    return pd.concat(filled, ignore_index=True).drop_duplicates(ignore_index=True)
