"""Which device and which precision a trial gets, over everything that it may ask for."""

from __future__ import annotations

import pytest
import torch

from trainables.loop.device import amp_dtype, choose_device

HALF, BRAIN = torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    ("setting", "on_cpu", "on_new_gpu", "on_old_gpu"),
    [
        (False, None, None, None),
        ("auto", None, BRAIN, HALF),
        (True, BRAIN, BRAIN, HALF),
        ("bf16", BRAIN, BRAIN, BRAIN),
        ("fp16", HALF, HALF, HALF),
    ],
)
def test_precision(
    setting: bool | str,
    on_cpu: torch.dtype | None,
    on_new_gpu: torch.dtype | None,
    on_old_gpu: torch.dtype | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert amp_dtype(setting, torch.device("cpu")) is on_cpu
    for computes_in_it, expected in ((True, on_new_gpu), (False, on_old_gpu)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda found=computes_in_it: found)
        assert amp_dtype(setting, torch.device("cuda")) is expected


def test_a_device_is_the_one_that_is_named_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, automatic in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=available: found)
        assert choose_device("auto") == torch.device(automatic)
        assert choose_device("cpu") == torch.device("cpu")
        with pytest.raises(ValueError, match="device must be auto, cpu, cuda or cuda:<i>"):
            choose_device("gpu!")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='cuda:1', but this trial sees no CUDA device"):
        choose_device("cuda:1")
