"""Nothing that comes from a file is unpickled by our code."""

from __future__ import annotations

import ast
import io
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.questions.pictures import load_examples
from trainables import TabularRegression
from trainables.base import CHECKPOINT_FILE
from tune_select.selection.forgetting import ForgettingEvents

ROOT = Path(__file__).parents[1]
PACKAGES = ("tune_select", "trainables", "search_spaces", "analysis")
SOURCES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]

# What the process that started it has just written, to its input and to a new folder that only this
# user can enter: a message, as multiprocessing sends them.
OWN_MESSAGES = {"tune_select/sweep/outlook/neighbour.py": ["pickle.loads", "pickle.load"]}

UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
READERS = {"load", "loads", "Unpickler", "open"}
DANGEROUS = {"read_pickle", "unsafe_load", "full_load"}
SAFE = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
}


def unpickling(source: str) -> Iterator[str]:
    """What in a module's source would unpickle, or run, what it reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLERS:
            yield f"line {node.lineno}: from {node.module} import"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        owner, _, name = called.rpartition(".")
        if called in SAFE:
            keyword, value = SAFE[called]
            given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
            if given.get(keyword) is not value:
                yield f"line {node.lineno}: {called} without {keyword}={value}"
        known = owner.split(".")[-1] in UNPICKLERS and name in READERS
        if known or name in DANGEROUS or called in ("eval", "exec"):
            yield f"line {node.lineno}: {called}"


def test_no_module_unpickles_what_it_reads() -> None:
    found = {str(file.relative_to(ROOT)): list(unpickling(file.read_text())) for file in SOURCES}
    assert len(found) > 200
    places = {file: [place.split(": ")[1] for place in at] for file, at in found.items() if at}
    assert places == OWN_MESSAGES


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(file)",
        "import cloudpickle as c\nfrom cloudpickle import loads",
        "pickle.Unpickler(file).load()",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "yaml.unsafe_load(text)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(unpickling(source))


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sprung),)


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    """A trap that works, and must not have been sprung in the end."""
    proof = Trap(tmp_path / "proof")
    pickle.loads(pickle.dumps(proof))
    assert proof.sprung.exists()
    made = Trap(tmp_path / "sprung")
    yield made
    assert not made.sprung.exists()


def trapped_array(trap: Trap) -> bytes:
    """A .npy file whose one entry is the trap."""
    file = io.BytesIO()
    np.save(file, np.array([trap], dtype=object), allow_pickle=True)
    return file.getvalue()


def trapped_arrays(path: Path, names: list[str], trap: Trap) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"{name}.npy", trapped_array(trap))


def test_a_trapped_checkpoint(tmp_path: Path, trap: Trap) -> None:
    trial = TabularRegression({"seed": 0, "device": "cpu", "arm": "full"})
    try:
        torch.save({"epoch": 1, "trap": trap}, tmp_path / CHECKPOINT_FILE)
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            trial.load_checkpoint(str(tmp_path))
    finally:
        trial.stop()


def test_a_trapped_record_of_forgetting_events(tmp_path: Path, trap: Trap) -> None:
    trapped_arrays(tmp_path / "record.npz", ["events", "learned", "correct"], trap)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        ForgettingEvents.load(tmp_path / "record.npz")


def test_trapped_pictures(tmp_path: Path, trap: Trap) -> None:
    trapped_arrays(tmp_path / "examples.npz", ["example", "image", "label", "labels"], trap)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_examples(tmp_path)
