"""Whether somebody answers at a cluster's address, before Ray waits for minutes to find out."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from tune_select.sweep.config import SweepConfig, SweepError

TIMEOUT_S = 10.0


def check_cluster(config: SweepConfig) -> None:
    """Refuse the address of a cluster that is not there.

    Args:
        config: ``cluster.address`` is looked at, or the environment's ``RAY_ADDRESS``.

    Raises:
        SweepError: Nobody answers within ``TIMEOUT_S``; names the address and the remedy.
    """
    given = config.cluster.address
    field = "cluster.address" if given else "RAY_ADDRESS"
    address = given or os.environ.get("RAY_ADDRESS") or "local"
    if address in ("local", "auto"):
        return
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = parts.hostname, None
    if host is None or port is None:
        if "://" in address:
            return  # a service's own scheme, which Ray resolves
        raise SweepError(
            f"{field} must be host:port, ray://host:port, auto or local, got {address}"
        )
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise SweepError(
            f"{field} is {address}, where nobody answers ({error}): start the cluster, correct the "
            "address, or leave it out for a Ray of this machine's own"
        ) from None
