"""Faults are single, compile, and leave alone what only people read."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.processes import swapped

SOURCE = '''"""A number, 7."""
def at(limit: int, values: list[int] = []) -> int:
    """3 of them."""
    values.append(1)
    if limit > 2 and not values:
        raise ValueError(f"limit {limit + 4} must be at most {9}")
    return limit - 1
'''


def test_each_fault_changes_one_place_and_compiles() -> None:
    found = list(mutants(SOURCE))
    changes = sorted((one.before, one.after) for one in found)
    assert changes == sorted([
        ("values.append(1)", "pass"), ("1", "2"), ("1", "2"), ("2", "3"), ("not values", "values"),
        ("limit > 2", "limit >= 2"), ("limit > 2 and (not values)", "limit > 2 or not values"),
        ("return limit - 1", "return None"), ("limit - 1", "limit + 1"),
    ])  # fmt: skip
    assert len({one.source for one in found}) == len(found)
    for one in found:
        compile(one.source, "mutant", "exec")
        assert one.source != ast.unparse(ast.parse(SOURCE))


def test_a_place_is_named_by_its_line() -> None:
    assert {one.line for one in mutants(SOURCE) if one.after == "return None"} == {7}


IDLE = """
import dataclasses, logging, time
logger = logging.getLogger("a")
BLOCK, MEMORY = 2_000_000, 2**20
_FIRST_S, _NEXT_S = 0.1, 2.0

@dataclasses.dataclass(frozen=True)
class Thing:
    size: int

    def __repr__(self) -> str:
        return str(self.size + 1)

    def late(self, deadline: float, begun_s: float) -> None:
        assert self.size > 0
        logger.info("1")
        while time.monotonic() < deadline or begun_s > 0.5: pass
        if self.size <= LEAST * self.norm: pass
        list(zip([self], [self], strict=True))
        return draw(limit=9, seed=4)
"""


def test_where_nothing_can_hang_on_it_no_fault_is_drawn() -> None:
    either, both = (f"time.monotonic() < deadline {word} begun_s > 0.5" for word in ("or", "and"))
    assert {(one.before, one.after) for one in mutants(IDLE)} == {
        (either, both),
        ("0.5", "1.5"),
        ("2 ** 20", "2 * 20"),
        ("list(zip([self], [self], strict=True))", "pass"),
        ("return draw(limit=9, seed=4)", "return None"),
        ("9", "10"),
        ("LEAST * self.norm", "LEAST / self.norm"),
    }


NESTED = """
MOST = 5

def outer(a=1):
    def inner():
        return a + 2
    return inner()

class Thing:
    @property
    def size(self):
        return 3

    async def later(self):
        return 8
"""


def test_a_fault_knows_its_function_and_its_lines() -> None:
    places = {(m.before, m.line): (m.function, m.lines) for m in mutants(NESTED)}
    assert places["a + 2", 6] == ("outer", range(6, 7))
    assert places["1", 4] == (None, range(5, 8))  # a default is missed as the body runs
    assert places["3", 12] == ("Thing.size", range(12, 13))
    assert places["8", 15] == ("Thing.later", range(15, 16))
    assert places["5", 2] == (None, range(0))  # whatever runs the module can miss it


def test_a_fault_is_put_in_place_and_whoever_holds_the_function_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("nested")
    exec(NESTED, module.__dict__)
    monkeypatch.setitem(sys.modules, "nested", module)
    held, thing = module.outer, module.Thing()
    by_place: dict[tuple[str, int], Mutant] = {(m.before, m.line): m for m in mutants(NESTED)}
    assert swapped(Path("nested.py"), by_place["a + 2", 6])
    assert held() == -1
    assert swapped(Path("nested.py"), by_place["3", 12])
    assert thing.size == 4
    assert not swapped(Path("nested.py"), by_place["1", 4])
