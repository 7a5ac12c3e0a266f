"""The sweep that ``run --more N --from FOLDER`` asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tune_select.secrets import fill_masked
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.sections import ContinuesConfig
from tune_select.sweep.yaml_file import parse_sweep


def sweep_of(folder: str, overrides: Sequence[str] = ()) -> SweepConfig:
    """The sweep of a results folder, to go on with it as it was written.

    Raises:
        SweepError: There is none.
    """
    return parse_sweep(fill_masked(ResultsFolder.open(folder).read_sweep(), os.environ), overrides)


def going_on(config: SweepConfig, more: int, folders: Sequence[str]) -> SweepConfig:
    """A sweep that adds configurations to finished ones.

    It has a results folder of its own: under its own name, or, where a sweep of that name is the
    one that it goes on from, the name with the next free number.

    Args:
        config: The config as written.
        more: How many configurations to add.
        folders: Results folders of the finished sweeps.

    Raises:
        SweepError: ``more`` is below 1.
    """
    if more < 1:
        raise SweepError(f"--more must be at least 1, got {more}")
    places = [ResultsFolder.open(folder).location for folder in folders]
    config = config.model_copy(update={"sweep_id": None})
    name, number = config.name, 2
    while ResultsFolder.of(config).is_begun() and (number > 2 or _is_one_of(config, places)):
        config = config.model_copy(update={"name": f"{name}-{number}"})
        number += 1
    return config.model_copy(update={"continues": ContinuesConfig(more=more, folders=places)})


def _is_one_of(config: SweepConfig, places: Sequence[str]) -> bool:
    return ResultsFolder.of(config).location in places
