"""Names that no report could hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainables.data.reading.listing import list_files, list_folders


@pytest.mark.parametrize("folder", [False, True])
def test_a_name_that_is_not_utf8_is_refused_as_it_was_meant(tmp_path: Path, folder: bool) -> None:
    name = os.fsencode(tmp_path) + "/Bär.png".encode("latin-1")
    os.mkdir(name) if folder else open(name, "wb").close()
    with pytest.raises(ValueError, match=r"not UTF-8 \('Bär.png' if it is Latin-1\): rename it"):
        list_files(tmp_path, tmp_path, {".png"})
    if folder:
        with pytest.raises(ValueError, match="not UTF-8"):
            list_folders(tmp_path)


def test_names_of_any_script_are_listed(tmp_path: Path) -> None:
    for name in ("Bär.png", "猫.png", "a b.PNG"):
        (tmp_path / name).touch()
    assert set(list_files(tmp_path, tmp_path, {".png"}).files) == {"Bär.png", "猫.png", "a b.PNG"}
