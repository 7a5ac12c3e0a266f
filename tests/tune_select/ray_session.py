"""One small Ray for a module's tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import ray


@contextmanager
def ray_session(
    num_cpus: int = 2, object_store_memory: int = 200 * 1024**2, num_gpus: int = 0
) -> Iterator[str]:
    """A local Ray with ``num_cpus`` slots; yields a folder for results, gone at the end.

    Both lie directly under /tmp, as the paths of Ray's sockets may have 107 characters at most.
    """
    ray_folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    results = tempfile.mkdtemp(prefix="s", dir="/tmp")
    ray.init(
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=object_store_memory,
        _temp_dir=ray_folder,
    )
    try:
        yield results
    finally:
        ray.shutdown()
        shutil.rmtree(ray_folder, ignore_errors=True)
        shutil.rmtree(results, ignore_errors=True)
