from __future__ import annotations

from tune_select.selection import GradMatch, PerBatch, Random, Selector
from tune_select.testing import SelectorConformance


class TestPerBatchRandom(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return PerBatch(Random(), batch_size=4)


class TestPerBatchGradMatch(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return PerBatch(GradMatch(), batch_size=4)
