"""Processes beside a measurement, as a sweep's other slots will be beside each trial.

Trials share caches, memory bandwidth and a GPU, so that a step which is timed alone is too short.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from ray import cloudpickle

from tune_select.sweep.outlook.neighbour import VALUE, Order

_MOST = 7  # beside one measurement: what they take of each other has shown by then
_PATIENCE_S = 60.0  # for a process to import PyTorch and the trainable


class Neighbours:
    """Processes that measure what is being measured, over and over, while it is measured.

    Whatever keeps them from starting, or ends them, leaves the measurement with fewer of them.

    Args:
        count: How many at the most.
        trainable: Whose trials are measured.
        dataset: What its ``load_dataset`` returned; the processes share one copy.
        threads: The threads that each may use.
    """

    def __init__(self, count: int, trainable: Any, dataset: Any, threads: int) -> None:
        self._count, self._threads = min(count, _MOST), threads
        self._value = trainable, dataset
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stack = ExitStack()
        self.process_s = 0.0

    @property
    def beside(self) -> int:
        """How many there are."""
        return sum(process.poll() is None for process in self._processes)

    def __enter__(self) -> Self:
        """Start them and wait until they are ready; ``process_s`` is then what that took."""
        if self._count < 1:
            return self
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tune-select-"))
        try:
            write(Path(folder), self._value)
        except (pickle.PicklingError, TypeError, AttributeError, OSError):
            return self  # trials could not share it either
        start_s = time.monotonic()
        self._processes = [_started(folder) for _ in range(self._count)]
        for process in self._processes:
            _await(process, start_s + _PATIENCE_S - time.monotonic())
        self.process_s = time.monotonic() - start_s
        return self

    def __exit__(self, *raised: object) -> None:
        """End them."""
        for process in self._processes:
            process.kill()
            process.communicate()
        self._stack.close()

    @contextmanager
    def busy(self, config: Mapping[str, Any]) -> Iterator[None]:
        """Have them measure trials of ``config`` meanwhile."""
        self._tell((dict(config), self._threads))
        try:
            yield
        finally:
            self._tell(None)

    def _tell(self, order: Order) -> None:
        message = pickle.dumps(order)
        for process in self._processes:
            assert process.stdin is not None
            try:
                process.stdin.write(message)
                process.stdin.flush()
            except (BrokenPipeError, ValueError):
                process.kill()  # it has ended


def write(folder: Path, value: Any) -> None:
    """Write a value for ``neighbour.read``, its arrays in files of their own.

    Args:
        folder: Is there, and empty.
        value: Whatever Ray can send.
    """
    buffers: list[pickle.PickleBuffer] = []
    content = cloudpickle.dumps(  # type: ignore[no-untyped-call]
        value, protocol=5, buffer_callback=buffers.append
    )
    (folder / VALUE).write_bytes(content)
    for number, buffer in enumerate(buffers):
        (folder / f"buffer-{number}").write_bytes(buffer.raw())


def _started(folder: str) -> subprocess.Popen[bytes]:
    paths = [os.getcwd(), *(path for path in sys.path if path)]
    return subprocess.Popen(
        [sys.executable, "-m", "tune_select.sweep.outlook.neighbour", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what a trial says is said by the measurement itself
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def _await(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Wait for a process's word that it is ready; end it where that does not come."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], max(0.0, patience_s))
    if not ready or process.stdout.read(1) != b"r":
        process.kill()
