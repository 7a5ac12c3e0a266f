"""What a model's own code notes while a selection looks is as it was before."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tune_select.selection.heads.collect import collect_signals
from tune_select.selection.heads.notes import kept_notes


class Notes(nn.Module):
    """Notes whatever a training step of a user's own might."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 3))
        self.steps = 0
        self.outputs: list[Tensor] = []
        self.seen: dict[str, list[int]] = {"train": [7]}
        self.by_class: defaultdict[int, list[int]] = defaultdict(list)
        self.counts = Counter({"a": 1})
        self.recent: deque[int] = deque([1, 2], maxlen=2)
        self.classes: set[int] = {5}
        self.correct = torch.zeros(2)  # a metric's state, changed in place
        self.total: Tensor = torch.zeros(())  # and one that is replaced
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        z = self(x)
        self.steps += 1
        self.outputs.append(z)
        self.seen["train"].append(len(y))
        self.by_class[int(y[0])].append(1)
        self.counts["b"] += 1
        self.recent.append(self.steps)
        self.classes.update(y.tolist())
        self.correct += 1
        self.total = self.total + 1
        self.calls += 1
        self.late = self.steps
        return functional.cross_entropy(z, y)

    def noted(self) -> object:
        return (
            self.steps, [id(one) for one in self.outputs], self.seen, dict(self.by_class),
            self.counts, list(self.recent), self.classes, self.correct.tolist(), float(self.total),
            float(self.calls), hasattr(self, "late"),
        )  # fmt: skip


def batch() -> tuple[Tensor, Tensor]:
    return torch.ones(3, 4), torch.arange(3)


def test_a_selection_leaves_no_note() -> None:
    model = Notes()
    held = model.correct, model.outputs, model.seen
    before = repr(model.noted())
    collect_signals(model, [batch()] * 3, model.loss)
    assert repr(model.noted()) == before
    assert (model.correct, model.outputs, model.seen) == held
    assert all(
        a is b for a, b in zip((model.correct, model.outputs, model.seen), held, strict=True)
    )
    model.loss(batch())
    assert model.steps == 1, "afterwards it notes as ever"


def test_graphs_do_not_pile_up() -> None:
    longest = []

    class Watched(Notes):
        def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            found = super().loss(batch)
            longest.append(len(self.outputs))
            return found

    model = Watched()
    collect_signals(model, [batch()] * 20, model.loss)
    assert max(longest) < 6


@given(st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_lists_in_lists_are_put_back(value: object) -> None:
    model = nn.Linear(1, 1)
    model.noted = [value]
    before = repr(value)
    with kept_notes(model):
        model.noted.append(1)
        if isinstance(value, list):
            value.append(2)
            for one in value:
                if isinstance(one, list):
                    one.clear()
    assert repr(model.noted) == f"[{before}]"


def test_weights_are_not_notes() -> None:
    model = nn.Linear(1, 1)
    with kept_notes(model) as undo, torch.no_grad():
        model.weight.fill_(3.0)
        undo()
    assert float(model.weight.detach()) == 3.0
