"""Compiled steps train what eager steps train, and selection still sees into the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo import register_backend, reset
from torch.overrides import TorchFunctionMode

from tests.trainables.toy_tasks import PointTask, loop, run, settings
from trainables import ImageClassification
from trainables.loop.compiled import check_compile, compile_model
from trainables.loop.mini_batches import moved
from tune_select.selection.heads.capture import capture_head

calls: list[int] = []


@register_backend  # type: ignore[untyped-decorator]
def counted_eager(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
    def run_counted(*arguments: Any) -> Any:
        calls.append(len(arguments))
        return graph(*arguments)

    return run_counted


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    reset()
    calls.clear()
    yield
    reset()


def compiled_task() -> PointTask:
    task = PointTask(dropout=0.0)
    compile_model(task, settings(compile="counted_eager"))
    return task


def test_compiled_steps_train_the_same_model() -> None:
    task, twin = compiled_task(), PointTask(dropout=0.0)
    ours, theirs = run(loop(task)), run(loop(twin))
    assert len(calls) >= 4 * 8  # every step went through it
    assert ours[-1]["train_loss"] == pytest.approx(theirs[-1]["train_loss"])
    for name, value in twin.model.state_dict().items():  # under the names of the model as written
        torch.testing.assert_close(task.model.state_dict()[name], value)


def test_selection_sees_the_head_of_a_compiled_model() -> None:
    task, twin = compiled_task(), PointTask(dropout=0.0)
    run(loop(task), epochs=1)
    twin.model.load_state_dict(task.model.state_dict())
    before = len(calls)
    signals, expected = task.signals(), twin.signals()
    assert len(calls) == before
    torch.testing.assert_close(signals.inputs, expected.inputs)
    torch.testing.assert_close(signals.output_gradients, expected.output_gradients)
    with capture_head(task.model, task.head()):
        pass
    task.losses(task.batch(torch.arange(16)))
    assert len(calls) > before


def test_mistakes_name_the_key() -> None:
    check_compile(settings(compile=True))
    with pytest.raises(ValueError, match="compile must be one of true, false, .*, got 'nvcc'"):
        check_compile(settings(compile="nvcc"))
    with pytest.raises(ValueError, match="forgetting_record='f.npz'"):
        check_compile(settings(compile=True, arm="full", forgetting_record="f.npz"))
    with pytest.raises(ValueError, match="deterministic must be true or false, got 'no'"):
        settings(deterministic="no")


@pytest.mark.parametrize("deterministic", [True, False])
def test_kernels_are_chosen_as_the_trial_says(
    deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", not deterministic)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", deterministic)
    given = {"data": {"name": "digits"}, "model": "lenet", "arm": "full", "device": "cpu"}
    trial = ImageClassification({**given, "deterministic": deterministic})
    assert torch.backends.cudnn.deterministic is deterministic
    assert torch.backends.cudnn.benchmark is not deterministic
    trial.cleanup()


class Transfers(TorchFunctionMode):
    """Counts copies to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.Tensor.to
        return func(*args, **(kwargs or {}))


def test_an_epochs_parts_are_moved_at_once() -> None:
    parts = [torch.arange(5), torch.arange(3), torch.arange(1)]
    with Transfers() as transfers:
        there = moved(parts, torch.device("meta"))
    assert transfers.count == 1
    assert [part.shape for part in there] == [part.shape for part in parts]
    assert {part.device.type for part in there} == {"meta"}
    assert moved(parts, torch.device("cpu")) is parts
