"""Tiny models on one thread: on a shared machine, more threads make them many times slower."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
