"""Reading and writing sweeps as YAML, with errors that name field, value and remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tune_select.secrets import mask_settings
from tune_select.sweep.config import SweepConfig, SweepError


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
    merged = _with_overrides(raw, overrides)
    try:
        return SweepConfig.model_validate(merged)
    except ValidationError as error:
        # A mapping where a name may stand too is always meant as the mapping.
        items = [
            item
            for item in error.errors()
            if not (item["type"] == "string_type" and isinstance(item.get("input"), Mapping))
        ]
        raise SweepError("\n".join(_explain(item) for item in items)) from None


def load_sweep(path: Path | str, overrides: Sequence[str] = ()) -> SweepConfig:
    """Read and check a sweep file.

    Raises:
        SweepError: The file is missing, is not YAML, or a field is wrong.
    """
    try:
        raw = yaml.load(Path(path).read_text(), Loader=_Yaml12Floats)
    except OSError as error:
        raise SweepError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SweepError(f"{path} is not YAML: {error}") from None
    try:
        return parse_sweep(raw, overrides)
    except SweepError as error:
        raise SweepError(f"{path}:\n{error}") from None


def dump_sweep(config: SweepConfig) -> str:
    """The sweep as YAML that ``load_sweep`` reads back; secrets are masked."""
    settings = mask_settings(config.model_dump(mode="json"))
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


class _Yaml12Floats(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, where ``1e-4`` is a string; sweeps mean the number."""


_Yaml12Floats.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def _with_overrides(raw: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    merged = dict(raw)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise SweepError(f"-o takes key=value, got {override!r}")
        try:
            value = yaml.load(text, Loader=_Yaml12Floats)
        except yaml.YAMLError as error:
            raise SweepError(f"-o {key}: {text!r} is not a YAML value: {error}") from None
        merged = _set(merged, key.split("."), value, key)
    return merged


def _set(mapping: Mapping[str, Any], path: list[str], value: Any, key: str) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**mapping, head: value}
    inner = mapping.get(head) or {}
    if not isinstance(inner, Mapping):
        raise SweepError(f"-o {key}: {head} is {inner!r}, which has no keys to set")
    return {**mapping, head: _set(inner, rest, value, key)}


def _explain(item: Any) -> str:
    # pydantic adds the names of tried union members and models to the path; fields alone help.
    path = ".".join(
        str(part)
        for part in item["loc"]
        if not (
            isinstance(part, str)
            and (part.endswith("Config") or part in ("str", "constrained-str") or "[" in part)
        )
    )
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key; see the keys in search_spaces/README.md"
    shown = repr(item.get("input"))
    got = "" if shown in message or item["type"] == "value_error" else f", got {shown[:200]}"
    return f"{path or 'sweep'}: {message}{got}"
