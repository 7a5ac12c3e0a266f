"""Secrets: what may be shown of tracking addresses and settings, and where the rest is found again.

A tracking URI may hold a password (``postgresql://user:password@host/db``). Only the process that
talks to the tracking server sees it; logs, tags, YAML copies and error messages get `mask_uri`'s
form. Better still, keep the password out of the URI and name an environment variable in it
(``postgresql://user:${DB_PASSWORD}@host/db``): such a URI is no secret and survives a resume.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from tune_select.secret_names import is_secret_name

MASK = "***"

# scheme://user:password@ -- the password may itself contain "@" or "/", so it ends at the last
# "@" before white space, a quote or a query. With an "@" in the path that masks too much.
_USER_INFO = re.compile(r"([A-Za-z][\w+.\-]*://)([^\s:/@?#'\"]*):([^\s?#'\"]+)@")
_QUERY = re.compile(r"([?&;]([\w\-]+)=)([^&;#\s'\"]+)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")

_REFERENCE = re.compile(r"\$\{\w+\}")
_MASKED = re.compile(r":\*\*\*@|=\*\*\*")  # what mask_uri leaves of a URI's secret

# Full URIs of this process by their masked form. Callbacks are pickled into Tune's files; they
# leave the password out and find it here again, so that no file of a sweep ever holds it.
_known: dict[str, str] = {}

# Secrets that this process has been given, to be found again in texts that others write.
_values: set[str] = set()
_SHORTEST = 6  # characters; a shorter one would be found in every second word
_SHORTEST_IN_ENVIRONMENT = 8


def mask_uri(text: str) -> str:
    """Returns `text` with every password of a URI in it replaced by ``***``.

    Masks ``user:password@`` and query parameters whose name speaks of a password, token, secret or
    key. Works on a bare URI and on any text that contains some (a log line, an error message).
    ``${NAME}`` references to environment variables are no secrets and stay.

    Args:
        text: A URI, or text with URIs in it.
    """

    def user_info(match: re.Match[str]) -> str:
        scheme, user, password = match.groups()
        return match[0] if _VARIABLE.fullmatch(password) else f"{scheme}{user}:{MASK}@"

    def query(match: re.Match[str]) -> str:
        if _VARIABLE.fullmatch(match[3]) or not is_secret_name(match[2]):
            return match[0]
        return f"{match[1]}{MASK}"

    return _QUERY.sub(query, _USER_INFO.sub(user_info, text))


def mask_text(text: str) -> str:
    """Returns a text of others, such as an exception's, as it may be shown.

    As `mask_uri`, and ``***`` takes the place of every secret that this process knows: of the sweep
    (`remember_secrets`), and of environment variables whose name speaks of one. Paths are none: a
    message about a missing file of credentials is of no use without its name.

    Args:
        text: An error message, a line of a log.
    """
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST_IN_ENVIRONMENT and value in text and is_secret_name(name)
    }
    for secret in sorted(_values | found, key=len, reverse=True):
        if not secret.startswith(("/", "~", "${")):
            text = text.replace(secret, MASK)
    return mask_uri(text)


def remember_secrets(settings: Any, name: str = "") -> None:
    """Lets `mask_text` know the secrets of a sweep, in this process.

    Args:
        settings: Nested settings, as written.
        name: The key that they stand under.
    """
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            remember_secrets(value, name if is_secret_name(name) else str(key))
    elif isinstance(settings, list | tuple):
        for value in settings:
            remember_secrets(value, name)
    elif is_secret_name(name) and _mask_leaf(settings) == MASK != settings:
        _values.update({str(settings)} if len(str(settings)) >= _SHORTEST else ())


def expand_uri(uri: str, environment: Mapping[str, str] | None = None) -> str:
    """Returns `uri` with each ``${NAME}`` replaced by that environment variable.

    Args:
        uri: A tracking URI.
        environment: Where to look; by default this process's environment.

    Raises:
        ValueError: A variable is not set; the message names it.
    """
    values = os.environ if environment is None else environment

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(
                f"the tracking URI {mask_uri(uri)} refers to the environment variable {match[1]}, "
                f"which is not set: export {match[1]} before starting or resuming the sweep"
            )
        return values[match[1]]

    return _VARIABLE.sub(value_of, uri)


def remember_uri(uri: str) -> str:
    """Keeps `uri` for this process, and returns the masked form that `recall_uri` takes."""
    masked = mask_uri(uri)
    if MASK in masked and MASK not in uri:
        _known[masked] = uri
    return masked


def recall_uri(masked: str) -> str | None:
    """Returns the full URI for a masked one, or None when this process has never seen it.

    A URI without a secret is returned as it is. One whose password this process does not know is
    looked for in the environment variable ``MLFLOW_TRACKING_URI``, if that is the same URI.
    """
    if MASK not in masked:
        return masked
    if masked in _known:
        return _known[masked]
    from_environment = os.environ.get("MLFLOW_TRACKING_URI", "")
    return from_environment if mask_uri(from_environment) == masked else None


def mask_settings(settings: Any) -> Any:
    """Returns nested settings as they may be written to files, logs and tags.

    ``***`` takes the place of every value of ``env_vars``, whose names are enough to find them
    again; of texts and numbers whose name speaks of a secret (`is_secret_name`), at any depth; and
    of passwords and tokens within URIs, wherever they stand. References such as ``${HF_TOKEN}`` are
    no secrets and stay.

    Args:
        settings: A resolved sweep, or any part of one; left as it is.
    """
    if isinstance(settings, str):
        return mask_uri(settings)
    if isinstance(settings, Mapping):
        return {key: _mask_value(str(key), value) for key, value in settings.items()}
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


def mask_value(name: str, value: Any) -> Any:
    """Returns a single value as it may be written under its name; see `mask_settings`.

    Args:
        name: Its key; of a dotted or slashed key every part counts.
        value: Anything.
    """
    parts = re.split(r"[./]", name)
    if "env_vars" in parts[:-1]:
        return _mask_leaf(value)
    return _mask_value(next((part for part in parts if is_secret_name(part)), parts[-1]), value)


def _mask_value(name: str, value: Any) -> Any:
    if name == "env_vars" and isinstance(value, Mapping):
        return {variable: _mask_leaf(content) for variable, content in value.items()}
    if not is_secret_name(name):
        return mask_settings(value)
    if isinstance(value, Mapping):
        return {key: _mask_value(name, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mask_value(name, inner) for inner in value]
    return _mask_leaf(value)


def _mask_leaf(value: Any) -> Any:
    """Hides a text or a number; a switch and what is not set are no secrets."""
    if value is None or isinstance(value, bool) or _REFERENCE.fullmatch(str(value)):
        return value
    return MASK


def fill_masked(settings: Any, environment: Mapping[str, str], path: str = "") -> Any:
    """Returns settings that `mask_settings` has written with their masked values filled in.

    Each is taken from the environment variable of its own name, as it stands or in capitals. The
    runtime environment is left to `fill_secrets`, and the tracking URI to `recall_uri`.

    Args:
        settings: The settings as read from ``sweep.yaml``.
        environment: Where to look.
        path: Dotted key of ``settings``, for the message.

    Raises:
        ValueError: A variable is not set; the message names the key and the variable.
    """
    if path in ("cluster", "tracking"):
        return settings
    if isinstance(settings, Mapping):
        return {
            key: fill_masked(value, environment, f"{path}.{key}" if path else str(key))
            for key, value in settings.items()
        }
    if isinstance(settings, list | tuple):
        return [fill_masked(value, environment, path) for value in settings]
    if settings != MASK:
        return settings
    name = path.rpartition(".")[2]
    found = environment.get(name, environment.get(name.upper()))
    if found is None:
        raise ValueError(
            f"{path} is a secret, which is not stored with the sweep: export it as {name.upper()} "
            "before resuming"
        )
    return found


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
