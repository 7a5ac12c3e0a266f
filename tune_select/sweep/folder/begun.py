"""A results folder's sweep as its trials were trained with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import yaml

from tune_select.secrets import fill_masked, mask_settings
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.state import SweepState, check_place, check_same
from tune_select.sweep.yaml_file import parse_sweep


def as_begun(folder: ResultsFolder) -> tuple[SweepConfig, SweepState]:
    """The sweep of a results folder, which must be the one that its trials were trained with.

    Raises:
        SweepError: ``sweep.yaml`` cannot be read, or is another one, or the folder was moved.
    """
    state = SweepState.read(folder.location)
    if state is not None:
        check_place(state, folder.location)
    try:
        written = folder.read_sweep()
        if not isinstance(written, dict):
            raise yaml.YAMLError("it holds no keys")
    except (FileNotFoundError, yaml.YAMLError) as error:
        if state is None:
            raise SweepError(f"{folder.location}/sweep.yaml cannot be read: {error}") from None
        written = dict(state.settings)
        folder.write_sweep(parse_sweep(written))
    if state is None:  # begun by an older version, or damaged: then the YAML is all there is
        config = parse_sweep(fill_masked(written, os.environ))
        return config, SweepState(settings_of(config))
    try:
        config = parse_sweep(fill_masked(written, os.environ))
    except SweepError as error:
        raise SweepError(f"{folder.location}/sweep.yaml was changed: {error}") from None
    # Parsed, so that keys which are new since then have their defaults on both sides.
    check_same(settings_of(parse_sweep(state.settings)), settings_of(config), folder.location)
    return config, state


def settings_of(config: SweepConfig) -> Mapping[str, Any]:
    """A sweep as it may be written down."""
    settings = mask_settings(config.model_dump(mode="json"))
    assert isinstance(settings, dict)
    return settings
