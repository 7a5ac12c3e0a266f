"""Reading and writing sweeps as YAML, with errors that name field, value and remedy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tune_select.messages import SettingsError, checked
from tune_select.plain import plain
from tune_select.secrets import mask_settings, remember_secrets
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.yaml_loader import MAX_CHARACTERS, MAX_DEPTH, YamlError, read_yaml


def parse_sweep(raw: Any, overrides: Sequence[str] = ()) -> SweepConfig:
    """Check a sweep that was read from YAML.

    Args:
        raw: The mapping.
        overrides: ``key.path=value`` strings whose values are read as YAML.

    Raises:
        SweepError: The path of each wrong field, its value and what would be right.
    """
    if not isinstance(raw, Mapping):
        raise SweepError(f"a sweep is a mapping of keys, got {type(raw).__name__}")
    merged = _with_overrides(plain(raw), overrides)
    remember_secrets(merged)
    try:
        config = checked(SweepConfig, merged)
    except SettingsError as error:
        raise SweepError(str(error)) from None
    for field, number in _endless(merged):
        raise SweepError(
            f"{field} is {number}, which the results folder cannot keep: write a number, or leave "
            "it out"
        )
    _check_keys(merged)
    return config


def load_sweep(path: Path | str, overrides: Sequence[str] = ()) -> SweepConfig:
    """Read and check a sweep file.

    Raises:
        SweepError: The file is missing, is not YAML, or a field is wrong.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(4 * MAX_CHARACTERS + 1).decode("utf-8-sig")
        raw = read_yaml(text)
    except OSError as error:
        raise SweepError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SweepError(
            f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}; save it "
            "as UTF-8"
        ) from None
    except YamlError as error:
        raise SweepError(f"{path} is not YAML: {error}") from None
    try:
        config = parse_sweep(raw, overrides)
    except SweepError as error:
        raise SweepError(f"{path}:\n{error}") from None
    # Code beside the file is found wherever the command is given, and by a resume years later.
    beside = Path(path).resolve().parent
    modules = [str((beside / folder).resolve()) for folder in (".", *config.modules)]
    return config.model_copy(update={"modules": list(dict.fromkeys(modules))})


def dump_sweep(config: SweepConfig) -> str:
    """The sweep as YAML that ``load_sweep`` reads back; secrets are masked."""
    # Not as JSON, whose keys are texts: weights by class ({0: 2.0}) would come back by other names.
    settings = mask_settings(config.model_dump())
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


def _endless(value: Any, field: str = "") -> Iterator[tuple[str, float]]:
    """The numbers that are none, NaN and the infinities, wherever they stand: JSON has no word."""
    if isinstance(value, float) and not math.isfinite(value):
        yield field, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _endless(inner, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _endless(inner, f"{field}[{number}]")


def _check_keys(merged: Mapping[str, Any]) -> None:
    """Refuse keys that a trial's configuration would not come back with.

    Raises:
        SweepError: Numbers are keys of what is searched, where results are kept as JSON and numbers
            would come back as texts, or of a mapping that has texts for keys as well.
    """
    for field, mapping in _mappings(merged):
        numbers = [key for key in mapping if not isinstance(key, str)]
        if numbers and len(numbers) < len(mapping):
            raise SweepError(
                f"{field} has the key {numbers[0]!r} beside keys that are texts: quote it, or make "
                "numbers of the others"
            )
        if numbers and field.split(".")[0].split("[")[0] == "space":
            raise SweepError(
                f"{field} has the key {numbers[0]!r}, which the results of what is searched would "
                "keep as a text: quote it, or search over a list"
            )


def _mappings(value: Any, field: str = "") -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """All mappings, each with its place."""
    if isinstance(value, Mapping):
        yield field, value
        for key, inner in value.items():
            yield from _mappings(inner, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _mappings(inner, f"{field}[{number}]")


def _with_overrides(raw: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    merged = dict(raw)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise SweepError(f"-o takes key=value, got {override!r}")
        try:
            value = read_yaml(text)
        except YamlError as error:
            raise SweepError(f"-o {key}: {text!r} is not a YAML value: {error}") from None
        path = key.split(".")
        if len(path) > MAX_DEPTH or not all(path):
            raise SweepError(
                f"-o {key[:200]}: a key has up to {MAX_DEPTH} parts, none of them empty"
            )
        merged = _set(merged, path, value, key)
    return merged


def _set(mapping: Mapping[str, Any], path: list[str], value: Any, key: str) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**mapping, head: value}
    inner = mapping.get(head) or {}
    if not isinstance(inner, Mapping):
        raise SweepError(f"-o {key}: {head} is {inner!r}, which has no keys to set")
    return {**mapping, head: _set(inner, rest, value, key)}
