"""The packages that come with this one, whatever else on the path goes by their names.

``analysis``, ``trainables`` and ``search_spaces`` are names that a user's own file beside a sweep
or in the working directory may well have too. Ours are found where this package lies.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

NAMES = ("analysis", "search_spaces", "trainables")
ROOT = Path(__file__).resolve().parents[1]


class _Ours(MetaPathFinder):
    """Finds our packages before the path is asked."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See the base class."""
        return PathFinder.find_spec(fullname, [str(ROOT)]) if fullname in NAMES else None


def claim() -> None:
    """Let our packages be found first from now on.

    Raises:
        ImportError: A module of the user's own was imported by one of the names already.
    """
    for name in NAMES:
        place = getattr(sys.modules.get(name), "__file__", None)
        if place is not None and not Path(place).resolve().is_relative_to(ROOT / name):
            raise ImportError(
                f"{place} hides the package {name!r} that comes with tune_select: rename it, or "
                "import tune_select before it"
            )
    if not any(isinstance(finder, _Ours) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Ours())


def hidden_in(folders: Iterable[str | Path]) -> list[Path]:
    """Files and packages in ``folders`` that a plain import would take for ours."""
    found = []
    for folder in map(Path, folders):
        if folder.resolve() == ROOT:
            continue
        places = [folder / f"{name}.py" for name in NAMES]
        places += [folder / name / "__init__.py" for name in NAMES]
        found += [place for place in places if place.is_file()]
    return found
