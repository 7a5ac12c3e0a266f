"""A process that keeps the machine busy with trials of a configuration; see ``neighbours``.

Started as ``python -m tune_select.sweep.outlook.neighbour FOLDER``. Its standard input holds
pickled messages: a trial's configuration and its threads, or ``None`` for rest. It answers one
byte, once, when it is ready, and ends with its input.
"""

from __future__ import annotations

import mmap
import pickle
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VALUE, BUFFERS = "value.pickle", "buffer-*"
"""Files of the folder: the trainable and its data set, and the arrays in them."""

Order = tuple[Mapping[str, Any], int] | None
"""A trial's configuration and its threads; ``None`` for rest."""


def main(folder: Path) -> None:
    """Serve until the input ends.

    Args:
        folder: Holds the trainable and its data set.
    """
    trainable, dataset = read(folder)
    orders: queue.SimpleQueue[Order | EOFError] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    sys.stdout.buffer.write(b"r")
    sys.stdout.buffer.flush()
    while not isinstance(order := orders.get(), EOFError):
        while order is not None and orders.empty():
            config, threads = order
            trainable.forecast(config, dataset, {}, threads=threads)


def read(folder: Path) -> Any:
    """What ``neighbours`` wrote; its arrays are mapped, so that all processes share one copy."""
    names = sorted(folder.glob(BUFFERS), key=lambda path: int(path.name.split("-")[1]))
    buffers = [_mapped(path) for path in names]
    return pickle.loads((folder / VALUE).read_bytes(), buffers=buffers)


def _mapped(path: Path) -> Any:
    if not path.stat().st_size:  # nothing cannot be mapped
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _listen(orders: queue.SimpleQueue[Order | EOFError]) -> None:
    while True:
        try:
            orders.put(pickle.load(sys.stdin.buffer))
        except EOFError as ended:
            orders.put(ended)
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
