"""Streams of random numbers: one for each purpose and time, whatever was drawn before."""

from __future__ import annotations

import pytest
import torch

from trainables.loop.seeding import seed_global, stream


def draw(generator: torch.Generator | None = None) -> list[float]:
    return torch.rand(3, generator=generator).tolist()


def test_streams_differ_by_seed_purpose_and_number_alone() -> None:
    first = draw(stream(0, "order", 0))
    torch.rand(7)
    assert draw(stream(0, "order", 0)) == first
    others = [
        draw(stream(1, "order", 0)),
        draw(stream(0, "augmentation", 0)),
        draw(stream(0, "order", 1)),
    ]
    assert len({tuple(values) for values in [first, *others]}) == 4


def test_the_global_generators_are_seeded_on_cpu_and_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed", seeded.append)
    seed_global(3, "global", 2, torch.device("cpu"))
    first = draw()
    assert seeded == []
    torch.rand(9)
    seed_global(3, "global", 2, torch.device("cuda"))
    assert draw() == first
    assert len(seeded) == 1
    seed_global(3, "global", 3, torch.device("cuda"))
    assert draw() != first
    assert seeded[0] != seeded[1]
