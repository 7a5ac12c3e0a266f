"""Tracking addresses: where their secrets are, and what may be shown of them.

A tracking URI may hold a password (``postgresql://user:password@host/db``). Only the process that
talks to the tracking server sees it; logs, tags, YAML copies and error messages get `mask_uri`'s
form. Better still, keep the password out of the URI and name an environment variable in it
(``postgresql://user:${DB_PASSWORD}@host/db``): such a URI is no secret and survives a resume.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

MASK = "***"

# scheme://user:password@ -- the password may itself contain "@" or "/", so it ends at the last
# "@" before white space, a quote or a query. With an "@" in the path that masks too much.
_USER_INFO = re.compile(r"([A-Za-z][\w+.\-]*://)([^\s:/@?#'\"]*):([^\s?#'\"]+)@")
_SECRET_QUERY = re.compile(
    r"([?&;](?:[\w\-]*(?:password|passwd|pwd|secret|token|api_?key|access_?key|credential)[\w\-]*)=)"
    r"([^&;#\s'\"]+)",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{(\w+)\}")

# Full URIs of this process by their masked form. Callbacks are pickled into Tune's files; they
# leave the password out and find it here again, so that no file of a sweep ever holds it.
_known: dict[str, str] = {}


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
        return match[0] if _VARIABLE.fullmatch(match[2]) else f"{match[1]}{MASK}"

    return _SECRET_QUERY.sub(query, _USER_INFO.sub(user_info, text))


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
