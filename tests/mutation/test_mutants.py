"""Faults are single, compile, and leave alone what only people read."""

from __future__ import annotations

import ast

from tests.mutation.mutants import mutants

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
