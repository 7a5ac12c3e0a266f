"""What an error of MLflow's client says of the request, of the server and of the way to it."""

from __future__ import annotations

import json

from tune_select.secrets import mask_text

# What a server answers to a request that will never be right, however often it is repeated.
_HOPELESS = frozenset(
    {
        "INVALID_PARAMETER_VALUE",
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_ALREADY_EXISTS",
        "BAD_REQUEST",
        "MALFORMED_REQUEST",
        "INVALID_STATE",
    }
)
# What it answers to a user whom it does not let in: the events are not to blame.
_LOCKED_OUT = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"})


def is_hopeless(error: Exception) -> bool:
    """Whether repeating a request that failed with ``error`` can never help.

    Everything that a server, a network or a database might get over counts as not hopeless, also a
    refused login: the events stay in the spool until somebody puts it right.
    """
    code = getattr(error, "error_code", None)
    if code is not None:
        return code in _HOPELESS
    if isinstance(error, json.JSONDecodeError):  # a proxy's error page in place of an answer
        return False
    # Of the local kind: an artifact that is gone, a value that MLflow cannot take.
    return isinstance(error, FileNotFoundError | ValueError | TypeError | KeyError)


def is_connectivity(error: BaseException | None) -> bool:
    """Whether a network, a timeout, a login or a busy database is behind an error, however deep."""
    while error is not None:
        if getattr(error, "error_code", None) in _LOCKED_OUT:
            return True
        if isinstance(error, OSError) or type(error).__name__ == "OperationalError":
            return True
        error = error.__cause__ or error.__context__
    return False


def _of_the_database(error: BaseException | None) -> BaseException | None:
    """What the database itself said, which SQLAlchemy and MLflow wrap in hints and statements."""
    while error is not None:
        if isinstance(found := getattr(error, "orig", None), BaseException):
            return found
        error = error.__cause__ or error.__context__
    return None


def describe(error: Exception) -> str:
    """An error in one short line, passwords masked."""
    database = _of_the_database(error)
    text = f"{type(error).__name__}: {error}" if database is None else f"{database}"
    text = text.splitlines()[0]
    cause = text.rpartition("(Caused by ")[2]  # requests' nesting; the cause says what happened
    return mask_text(cause.rstrip(")") if cause else text)[:300]
