"""Secrets among a sweep's settings: masked in what is written, found again in the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tune_select.tracking.uri import MASK, expand_uri, mask_uri

_SECRET_NAME = re.compile(
    r"(password|passwd|pwd|secret|token|credentials?|api_?key|access_?key|key_id)$", re.IGNORECASE
)
_REFERENCE = re.compile(r"\$\{\w+\}")
_MASKED = re.compile(r":\*\*\*@|=\*\*\*")  # what mask_uri leaves of a URI's secret


def mask_settings(settings: Any) -> Any:
    """Returns nested settings as they may be written to files, logs and tags.

    Passwords and tokens within URIs become ``***``, wherever they stand, and so do the values of
    ``env_vars`` whose name ends like a secret's (``HF_TOKEN``, ``AWS_SECRET_ACCESS_KEY``).
    References such as ``${HF_TOKEN}`` are no secrets and stay.

    Args:
        settings: A resolved sweep, or any part of one; left as it is.
    """
    if isinstance(settings, str):
        return mask_uri(settings)
    if isinstance(settings, Mapping):
        return {
            key: _mask_variables(value)
            if key == "env_vars" and isinstance(value, Mapping)
            else mask_settings(value)
            for key, value in settings.items()
        }
    if isinstance(settings, list | tuple):
        return [mask_settings(value) for value in settings]
    return settings


def fill_secrets(runtime_env: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Returns a runtime environment with its ``${NAME}`` and its masked variables filled in.

    A resumed sweep reads what `mask_settings` wrote; an environment variable of a masked
    variable's own name takes its place.

    Args:
        runtime_env: The sweep's ``cluster.runtime_env``.
        environment: Where to look.

    Raises:
        ValueError: A variable is not set, or a URI is masked; the message names it.
    """
    own = {
        name: f"${{{name}}}" if value == MASK else value
        for name, value in (runtime_env.get("env_vars") or {}).items()
    }
    filled = _expanded({**runtime_env, **({"env_vars": own} if own else {})}, environment)
    assert isinstance(filled, dict)
    return filled


def _mask_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: MASK
        if _SECRET_NAME.search(name) and not _REFERENCE.fullmatch(str(value))
        else mask_settings(value)
        for name, value in variables.items()
    }


def _expanded(value: Any, environment: Mapping[str, str], path: str = "cluster.runtime_env") -> Any:
    if isinstance(value, Mapping):
        return {k: _expanded(v, environment, f"{path}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_expanded(v, environment, f"{path}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    if _MASKED.search(value):
        raise ValueError(
            f"{path} is {value}: its secret is not stored with the sweep. Write it as ${{NAME}} of "
            "an environment variable, and export that before starting or resuming"
        )
    try:
        return expand_uri(value, environment)
    except ValueError:
        names = [name for name in _REFERENCE.findall(value) if name[2:-1] not in environment]
        raise ValueError(
            f"{path} refers to {', '.join(names)}, which is not set: export it before starting or "
            "resuming the sweep"
        ) from None
