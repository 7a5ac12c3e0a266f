"""The Ray cluster that a sweep runs on: joined, or started for it and stopped after it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import utils as ray_utils

from tune_select.cluster import is_remote, runtime_env_for
from tune_select.sweep.module_path import claiming, for_workers
from tune_select.sweep.sections import ClusterConfig


@contextmanager
def connected(cluster: ClusterConfig, settings: Any = None) -> Iterator[None]:
    """Hold a connection to Ray; one that the caller has opened already is used and left open.

    Args:
        cluster: Which Ray.
        settings: The resolved sweep; the code that it names is sent to the nodes of a cluster.
    """
    if ray.is_initialized():
        yield
        return
    # Tune's new output engine prints boxes even when told to be quiet, and ours fills the screen.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    # Without an address Ray would join whatever cluster somebody else runs on this machine.
    address = cluster.address or os.environ.get("RAY_ADDRESS", "local")
    logging.getLogger("ray.tune").setLevel(logging.WARNING)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Short trials checkpoint often; that snapshots follow is what we want, not a bottleneck.
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    if address == "local":
        _keep_to_this_machine()
    modules = (settings or {}).get("modules", [])
    runtime_env = runtime_env_for(cluster.runtime_env, settings, remote=is_remote(cluster.address))
    with for_workers(modules), _no_handler_of_rays():
        ray.init(
            address=address,
            runtime_env=claiming(runtime_env, modules),
            log_to_driver=False,
            logging_level=logging.WARNING,
            **(_local_options(cluster) if address == "local" else {}),
        )
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _no_handler_of_rays() -> Iterator[None]:
    """Leave SIGTERM to whoever has it while Ray starts.

    Ray's own handler raises ``SystemExit`` wherever the program happens to be. In a callback that
    lets no exception out, such as those of ``os.fork``, the signal is lost.
    """
    put = ray_utils.set_sigterm_handler
    ray_utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler = put


def _keep_to_this_machine() -> None:
    """Let the servers of a Ray of our own listen on 127.0.0.1 alone, and not on all addresses.

    Ray does so by itself on Windows and macOS; this is its switch for that, which it reads when it
    is imported. Whoever sets it to 1 is left their way.
    """
    switch = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    if os.environ.setdefault(switch, "0").lower() in ("0", "false"):
        ray_constants.ENABLE_RAY_CLUSTER = False


def _local_options(cluster: ClusterConfig) -> dict[str, Any]:
    """Options that only a cluster of our own takes."""
    return {
        "num_cpus": cluster.num_cpus,
        "num_gpus": cluster.num_gpus,
        "include_dashboard": False,
    }
