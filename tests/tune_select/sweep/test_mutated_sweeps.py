"""Sweep files that anything was done to: each is a sweep that can be planned, or one SweepError."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tune_select.sweep.sweep_mutations import mutated, spoiled
from tune_select.secrets import mask_settings
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.outlook.budget import training_budget
from tune_select.sweep.preflight import check_resources
from tune_select.sweep.validation import validate_sweep
from tune_select.sweep.yaml_file import dump_sweep, load_sweep, parse_sweep

FILES = sorted(
    Path(str(path))
    for path in importlib.resources.files("search_spaces").iterdir()
    if path.name.endswith(".yaml")
)
# Every kind of section between them: grids, lists of points, ladders, mini-batch arms, named arms.
SMALL = ("digits", "ladder_digits", "small_sst2", "small_killamsetty_fig4_mnist", "mnist_small")
TEMPLATES = {path.stem: yaml.safe_load(path.read_bytes()) for path in FILES if path.stem in SMALL}
# Third-party: transformers and Ray's searchers warn while they are imported and built.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def plan(config: SweepConfig) -> None:
    """All that ``validate --without-data`` does and says."""
    found = validate_sweep(config, data=False)
    assert found.trials_text()
    budget = training_budget(found)
    assert budget is None or budget.trials > 0
    check_resources(config)


def check_words(error: SweepError) -> None:
    """Somebody can read it, and no check of ours has met a value that it cannot compare."""
    assert 0 < len(str(error)) < 5000, error
    assert "the trainable's check raised" not in str(error), error


def try_mapping(raw: dict[str, Any]) -> bool:
    """Whether the sweep can be planned; it then is what its YAML reads back as."""
    try:
        config = parse_sweep(raw)
        plan(config)
    except SweepError as error:
        check_words(error)
        return False
    again = parse_sweep(yaml.safe_load(dump_sweep(config)))
    masked = mask_settings(config.model_dump(mode="json"))  # which makes texts of numbers as keys
    assert again.model_dump(mode="json") == masked
    return True


def try_bytes(file: Path, content: bytes) -> bool:
    file.write_bytes(content)
    try:
        plan(load_sweep(file))
    except SweepError as error:
        check_words(error)
        return False
    return True


NUMBERS = st.integers(0, 2**32)


@pytest.mark.timeout(120)
@settings(
    max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.too_slow], deadline=None
)
@given(name=st.sampled_from(SMALL), number=NUMBERS)
def test_a_mutated_sweep_is_planned_or_refused(name: str, number: int) -> None:
    try_mapping(mutated(TEMPLATES[name], number))


@pytest.mark.timeout(120)
@settings(
    max_examples=50, derandomize=True, suppress_health_check=[HealthCheck.too_slow], deadline=None
)
@given(name=st.sampled_from(SMALL), number=NUMBERS)
def test_spoiled_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, number: int
) -> None:
    (path,) = (path for path in FILES if path.stem == name)
    file = tmp_path_factory.getbasetemp() / "spoiled.yaml"
    try_bytes(file, spoiled(path.read_bytes(), number))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_mutated_sweeps(tmp_path: Path) -> None:
    raw = [yaml.safe_load(path.read_bytes()) | {"resources": {"cpu": 1}} for path in FILES]
    planned, failed = 0, []
    for number in range(10_000):
        which = number % len(FILES)
        try:
            if number % 5:
                planned += try_mapping(mutated(raw[which], number))
            else:
                planned += try_bytes(tmp_path / "s", spoiled(FILES[which].read_bytes(), number))
        except Exception as error:
            failed.append(f"{number} {FILES[which].stem}: {type(error).__name__}: {error!s:.300}")
    print(f"{planned} of 10,000 mutated sweeps can be planned, {len(failed)} end otherwise")
    assert not failed, "\n".join(failed)
    assert 500 < planned < 9_000  # the mutations neither miss nor spoil everything
