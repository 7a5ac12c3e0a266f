from __future__ import annotations

from tune_select.selection import GradMatch, Selector
from tune_select.testing import SelectorConformance


class TestGradMatch(SelectorConformance):
    def make(self) -> Selector:
        return GradMatch()


class TestGradMatchLayer(SelectorConformance):
    def make(self) -> Selector:
        return GradMatch(gradients="layer")


class TestGradMatchOutputs(SelectorConformance):
    def make(self) -> Selector:
        return GradMatch(gradients="outputs", regularization=0.0)


class TestGradMatchAll(SelectorConformance):
    smallest_budget = 1

    def make(self) -> Selector:
        return GradMatch(gradients="layer", per_class=False)


class TestGradMatchValidation(SelectorConformance):
    def make(self) -> Selector:
        return GradMatch(match="validation")
