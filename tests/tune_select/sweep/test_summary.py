import io
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console

from analysis import load
from tests.analysis.questions.ladder.test_climb import write_ladder
from tests.analysis.synthetic import ARMS, Arm, Sweep
from tune_select.sweep.summary import show_summary

SHIPPED = Path(__file__).parents[3] / "search_spaces"


def longest_arms(count: int) -> list[str]:
    """The longest names of arms that any shipped sweep has."""
    names = set()
    for path in SHIPPED.rglob("*.yaml"):
        sweep = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        names |= {a if isinstance(a, str) else str(a["name"]) for a in sweep.get("arms") or []}
    return sorted(names, key=len, reverse=True)[:count]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The summary of a sweep with the longest shipped arms, as a terminal of 80 columns has it."""
    slow = dict.fromkeys(longest_arms(3), Arm(0.02, 0.0, 100.0, 40.0))
    arms = {"seed": ARMS["seed"], "cached": ARMS["cached"], **slow, "full": Arm(0, 0, 10000.0)}
    folder = Sweep(arms=arms, promote=False).write(tmp_path_factory.mktemp("summary"))
    (folder / "runs.json").write_text('[{"started": 0, "ended": 250, "slots": 2}]')
    console = Console(file=io.StringIO(), width=80)
    show_summary(load(folder), console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_every_arm_is_named_in_full_within_80_columns(lines: list[str]) -> None:
    first = [line.split()[0] for line in lines if line.split()]
    assert {"seed", "cached", "full", *longest_arms(3)} <= set(first)
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_the_whole_sweep_s_wall_clock_stands_beside_the_slot_seconds(lines: list[str]) -> None:
    said = " ".join(" ".join(lines).split())
    assert "The whole sweep took 4.17 min on 2 slots, of which its trials held" in said


def test_all_that_was_waited_for_is_counted_and_the_papers_measure_named(lines: list[str]) -> None:
    (cached,) = (line.split() for line in lines if line.split()[:1] == ["cached"])
    # 18 trials of 12 x (1 + 0.01 + 0.2) + 0.1 s and the seed's 12 x 1.6 s against 12 x 10000.2 s.
    own_s = 18 * (12 * 1.21 + 0.1)
    assert cached[1:4] == ["18", "0", f"{own_s:.1f}"]
    assert cached[-2] == f"{18 * 12 * 10000.2 / (own_s + 12 * 1.6):.0f}"
    assert cached[-1] == f"{10000 / 1.01:.0f}"
    headings = " ".join(" ".join(lines[:5]).split())
    assert "faster" in headings
    assert "papers'" in headings


def test_a_ladders_answer_is_said_and_no_arms_are_asked_of_it(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path)
    trials = pd.read_parquet(folder / "trials.parquet")
    trials["selector"] = trials["arm"].where(trials["arm"] == "full", "cached")
    trials.to_parquet(folder / "trials.parquet")
    console = Console(file=io.StringIO(), width=80)
    show_summary(load(folder), console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    said = " ".join(" ".join(lines).split())
    assert "The ladder chose learning_rate = 0.3: 90.00% test accuracy" in said
    assert "Random search" in said
    assert "to arms" not in said  # a ladder takes none
    (ladder,) = (line.split() for line in lines if line.strip().startswith("the ladder"))
    assert ladder[-2] == "90.00%"  # the searches stand in the table, not the rungs of one of them
    assert max(map(len, lines)) <= 80
