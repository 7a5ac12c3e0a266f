"""A room is small enough to be seen at a glance."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_MODULES = 20


@pytest.mark.parametrize("top", ["tune_select", "trainables", "search_spaces", "analysis", "tests"])
def test_no_folder_is_a_hall(top: str) -> None:
    folders = [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]
    counts = {
        str(folder.relative_to(ROOT)): len(
            [file for file in folder.glob("*.py") if file.name != "__init__.py"]
        )
        for folder in folders
    }
    halls = {folder: count for folder, count in counts.items() if count > MOST_MODULES}
    assert not halls, f"more than {MOST_MODULES} modules: make a room of those that belong together"
