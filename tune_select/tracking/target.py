"""Where a sweep is to be logged: checked, completed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tune_select.secrets import mask_uri, remember_uri

from .events import clean_tags

_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")


@dataclass(frozen=True)
class Target:
    """Where a sweep is logged; kept beside the events as ``target.json``.

    Attributes:
        tracking_uri: In its masked form on disk; the writer is given the full one apart from it.
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
        """Returns the fields as plain data."""
        return asdict(self)


def sqlite_uri(path: str | os.PathLike[str]) -> str:
    """Returns the tracking URI of a sqlite file."""
    return f"sqlite:///{Path(path).expanduser().absolute()}"


def sqlite_path(uri: str) -> Path | None:
    """Returns the file behind a sqlite URI, or None for any other URI."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def default_spool_folder(sweep_id: str) -> Path:
    """Returns where a sweep without a local results folder keeps its journal."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "tune-select" / sweep_id


def check_uri(uri: str) -> str:
    """Returns `uri`, a sqlite path in it made absolute.

    Raises:
        ValueError: Not a URI that MLflow can log to.
    """
    scheme = uri.split(":", 1)[0].split("+", 1)[0] if ":" in uri else ""
    if scheme not in _SCHEMES:
        raise ValueError(
            f"tracking uri must begin with one of {', '.join(s + ':' for s in _SCHEMES)} got "
            f"{mask_uri(uri)!r}; for a file on this machine write sqlite:///path/to/mlflow.db"
        )
    path = sqlite_path(uri)
    return uri if path is None else sqlite_uri(path)


def require_driver(uri: str) -> None:
    """Raises a clear ImportError when the Python driver of a database URI is not installed."""
    if uri.startswith(("http:", "https:", "sqlite:", "databricks")):
        return
    from sqlalchemy.engine import make_url

    try:
        make_url(uri).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        raise ImportError(
            f"tracking uri {mask_uri(uri)} needs the database driver {error.name}, which is not "
            f"installed: install it, or name the one you have (postgresql+psycopg2://...)"
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
    """Returns the target of a sweep; remembers the full URI for this process.

    Args:
        tracking_uri: See `check_uri`.
        experiment: Name of the MLflow experiment.
        sweep: Name of the parent run.
        sweep_id: Identifies the sweep.
        tags: For all runs.
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
