"""Where a sweep is to be logged: checked, completed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tune_select.secrets import mask_uri, remember_uri

from .events import clean_tags

_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")


@dataclass(frozen=True)
class Target:
    """Where a sweep is logged; kept beside the events as ``target.json``.

    Attributes:
        tracking_uri: The URI, in its masked form on disk; the writer is given the full one apart
            from it.
        experiment: MLflow's experiment; made when it does not exist.
        sweep: Name of the parent run.
        sweep_id: What finds the sweep's runs again (tag ``sweep_id``).
        tags: Tags of the parent run and of every nested run.
        artifact_root: Folder or URI for the artifacts of a new experiment in a store without a
            server (sqlite, PostgreSQL); a server has its own.
    """

    tracking_uri: str
    experiment: str
    sweep: str
    sweep_id: str
    tags: dict[str, str] = field(default_factory=dict)
    artifact_root: str | None = None

    def __post_init__(self) -> None:
        for name in ("tracking_uri", "experiment", "sweep"):
            if not getattr(self, name):
                raise ValueError(f"{name} must not be empty")
        if not re.fullmatch(r"[\w.:\-]+", self.sweep_id):
            raise ValueError(
                "sweep_id must consist of letters, digits and _ . : - (MLflow searches for it), "
                f"got {self.sweep_id!r}"
            )

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)


def sqlite_uri(path: str | os.PathLike[str]) -> str:
    """The tracking URI of a sqlite file."""
    return f"sqlite:///{Path(path).expanduser().absolute()}"


def sqlite_path(uri: str) -> Path | None:
    """The file behind a sqlite URI, or None for any other URI."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").partition("?")[0])


def default_spool_folder(sweep_id: str) -> Path:
    """Where a sweep without a local results folder keeps its journal."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tune-select" / sweep_id


def check_uri(uri: str) -> str:
    """``uri``, a sqlite path in it made absolute.

    What refers to environment variables (``${NAME}``) is only looked at once they are filled in.

    Raises:
        ValueError: Not a URI that MLflow can log to.
    """
    scheme = uri.split(":", 1)[0].split("+", 1)[0] if ":" in uri else ""
    if scheme not in _SCHEMES:
        raise ValueError(
            f"tracking uri must begin with one of {', '.join(s + ':' for s in _SCHEMES)} got "
            f"{mask_uri(uri)!r}; for a file on this machine write sqlite:///path/to/mlflow.db"
        )
    if "${" in uri:
        return uri
    if scheme in ("http", "https"):
        _check_host(uri)
    if scheme == "sqlite":
        path, query = sqlite_path(uri), uri.partition("?")[1:]
        if path is None or str(path) in (".", ":memory:"):
            raise ValueError(
                f"tracking uri must name a file, as sqlite:///path/to/mlflow.db does, got {uri!r}"
            )
        return sqlite_uri(path) + "".join(query)
    return uri


def _check_host(uri: str) -> None:
    """Refuse a server's address that has no host, or a port that is none."""
    parts = urlsplit(uri)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = parts.hostname, 0
    if not host or port == 0 or re.search(r"\s", uri):
        raise ValueError(
            f"tracking uri must be http(s)://host or http(s)://host:port with a port from 1 to "
            f"65535, got {mask_uri(uri)!r}"
        )


def require_driver(uri: str) -> None:
    """Refuse a database URI whose Python driver is not here, or is none.

    Raises:
        ImportError: The driver is not installed.
        ValueError: There is no such driver, or the URI cannot be read.
    """
    if uri.startswith(("http:", "https:", "sqlite:", "databricks")):
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        raise ImportError(
            f"tracking uri {mask_uri(uri)} needs the database driver {error.name}, which is not "
            f"installed: install it, or name the one you have (postgresql+psycopg2://...)"
        ) from error
    except (ArgumentError, ValueError) as error:  # no such dialect, a port that is no number
        raise ValueError(
            f"tracking uri must be as SQLAlchemy has it (postgresql://user@host/database), got "
            f"{mask_uri(uri)!r} ({mask_uri(str(error)).splitlines()[0]})"
        ) from error


def make_target(
    tracking_uri: str,
    experiment: str,
    sweep: str,
    sweep_id: str,
    tags: Mapping[str, str] | None,
    folder: Path,
    artifact_root: str | None = None,
) -> Target:
    """The target of a sweep, whose full URI this process remembers.

    Args:
        tracking_uri: See ``check_uri``.
        experiment: Name of the MLflow experiment.
        sweep: Name of the parent run.
        sweep_id: Identifies the sweep.
        tags: Tags for all runs.
        folder: The results folder; artifacts go to ``mlartifacts/`` in it, beside the database for
            sqlite, when no server decides where.
        artifact_root: Another place for them.

    Raises:
        ValueError: Malformed URI, empty name, or a sweep_id that MLflow could not search for.
    """
    uri = check_uri(tracking_uri)
    remember_uri(uri)
    path = sqlite_path(uri)
    root = artifact_root or str((path.parent if path else folder) / "mlartifacts")
    return Target(uri, experiment, sweep, sweep_id, clean_tags(tags or {}), root)
