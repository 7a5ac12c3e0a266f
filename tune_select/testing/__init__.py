"""What extension points promise, as tests that an implementation of yours inherits."""

from tune_select.testing.minibatch_selectors import MiniBatchSelectorConformance
from tune_select.testing.selectors import SelectorConformance, make_signals

__all__ = ["MiniBatchSelectorConformance", "SelectorConformance", "make_signals"]
