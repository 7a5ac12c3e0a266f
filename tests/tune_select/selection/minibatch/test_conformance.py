"""Every selector of the package keeps the promises of the base class."""

from __future__ import annotations

from tune_select.selection.minibatch import (
    AdaBoost,
    AdaSelection,
    BigLoss,
    CoresetExtremes,
    CoresetMean,
    GradientMatching,
    GradientNorm,
    Kath18,
    MiniBatchSelector,
    Scheduled,
    SelectiveBackprop,
    SelectiveBackpropFixed,
    SmallLoss,
    Stale,
    Uniform,
)
from tune_select.testing.minibatch_selectors import MiniBatchSelectorConformance


class TestUniform(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return Uniform()


class TestBigLoss(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return BigLoss()


class TestSmallLoss(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return SmallLoss()


class TestGradientNorm(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return GradientNorm()


class TestAdaBoost(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return AdaBoost()


class TestCoresetExtremes(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return CoresetExtremes()


class TestCoresetMean(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return CoresetMean()


class TestSelectiveBackprop(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return SelectiveBackprop(history_size=50)


class TestSelectiveBackpropFixed(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return SelectiveBackpropFixed()


class TestSelectiveBackpropByLoss(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return SelectiveBackpropFixed(importance="loss")


class TestKath18(MiniBatchSelectorConformance):
    with_replacement = True

    def make(self) -> MiniBatchSelector:
        return Kath18()


class TestKath18Reweighted(MiniBatchSelectorConformance):
    with_replacement = True

    def make(self) -> MiniBatchSelector:
        return Kath18(reweight=True)


class TestAdaSelection(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return AdaSelection([BigLoss(), SmallLoss(), Uniform(), GradientNorm(), Kath18()])


class TestAdaSelectionThreshold(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return AdaSelection([BigLoss(), SelectiveBackprop()], beta=-1, threshold=1.2)


class TestGradientMatching(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return GradientMatching()


class TestScheduled(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return Scheduled(GradientMatching(), start=0.0, end=1.0, interrupt=2)


class TestStale(MiniBatchSelectorConformance):
    def make(self) -> MiniBatchSelector:
        return Stale(SelectiveBackprop(), every=2)
