from __future__ import annotations

from tune_select.selection import Full, Random, Selector
from tune_select.testing import SelectorConformance


class TestRandom(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return Random()


class TestFull(SelectorConformance):
    smallest_budget = 1
    exact_budget = False

    def make(self) -> Selector:
        return Full()
