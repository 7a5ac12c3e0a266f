"""Whether somebody answers at a cluster's address, before Ray waits for minutes to find out."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from tune_select.sweep.config import SweepConfig, SweepError

TIMEOUT_S = 10.0

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = 4
_NO_SETTINGS = bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])


def check_cluster(config: SweepConfig) -> None:
    """Refuse the address of a cluster that is not there.

    Args:
        config: ``cluster.address`` is looked at, or the environment's ``RAY_ADDRESS``.

    Raises:
        SweepError: Nobody answers within ``TIMEOUT_S``, or somebody else does; names the address
            and the remedy.
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
        spoken = _speaks_http2(host, port)
    except OSError as error:
        raise SweepError(
            f"{field} is {address}, where nobody answers ({error}): start the cluster, correct the "
            "address, or leave it out for a Ray of this machine's own"
        ) from None
    if not spoken:
        raise SweepError(
            f"{field} is {address}, where something listens that is no Ray cluster: give the port "
            "of the head node (ray start prints it; 6379, or ray:// and 10001 for Ray's client)"
        )


def _speaks_http2(host: str, port: int) -> bool:
    """Whether the other side greets as a gRPC server does, which Ray's head and its client are.

    A server of HTTP/2 answers the client's preface with a frame of its own settings (RFC 9113,
    section 3.4). Another listener says something else, hangs up, or is silent, and Ray would wait
    for it without an end. With TLS nothing can be told from outside of it.

    Raises:
        OSError: Nobody takes the connection within ``TIMEOUT_S``.
    """
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return True
        try:
            connection.sendall(_PREFACE + _NO_SETTINGS)
            return _frame_type(connection) == _SETTINGS
        except OSError:  # it hung up, or was silent for TIMEOUT_S
            return False


def _frame_type(connection: socket.socket) -> int | None:
    """The type of the first frame (a header of 9 bytes: length, type, flags, stream)."""
    header = b""
    while len(header) < 9:
        part = connection.recv(9 - len(header))
        if not part:
            return None
        header += part
    return header[3]
