"""One process at a time works in a results folder.

On a path, the kernel's lock on ``sweep.lock`` decides: it lets one in, and is gone with the process
that held it, however that died. The file names its owner, for the message, and says when the owner
was last alive, for a folder that machines share but whose locks they do not.

On other storage there are no locks. There every contender writes a claim of its own under
``sweep.lock/`` and then looks at the others'. It holds the folder once it has seen no other live
claim; it gives way to one that holds, and to one with a smaller name that still contends. Of two
contenders the one that wrote later sees the other, so they never both hold, as long as the storage
lists what was written before (object stores do). A claim that has not been renewed for a minute, by
the storage's own clock, is dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pyarrow import fs as pafs

from tune_select.storage import Folder, local_path
from tune_select.sweep.config import SweepError

LOCK = "sweep.lock"
RENEW_S = 15.0
STALE_S = 60.0
_LOOK_S = 0.2
_GIVE_UP_S = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """Who works in a folder.

    Attributes:
        host: Its machine.
        pid: Its process there.
        since_s: Unix time at which it began.
        alive_s: Unix time at which it was last known to live.
        holds: Whether it has got the folder, and no longer contends for it.
    """

    host: str
    pid: int
    since_s: float
    alive_s: float
    holds: bool = True

    @classmethod
    def this_process(cls, *, holds: bool = True) -> Owner:
        """Ourselves, now."""
        now_s = time.time()
        return cls(socket.gethostname(), os.getpid(), now_s, now_s, holds)

    @classmethod
    def read(cls, content: bytes) -> Owner | None:
        """What ``write`` made; ``None`` for anything else."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return None

    def write(self) -> bytes:
        """As it stands in the lock."""
        return json.dumps(asdict(self)).encode()

    def is_dead(self) -> bool:
        """Whether its process is known to be gone: it was one of this machine's."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # somebody else's, and alive
            return False
        return False

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since_s))
        return f"process {self.pid} on {self.host}, since {since}"


@contextmanager
def locked(location: str) -> Iterator[None]:
    """Hold a results folder, which is made if need be.

    Args:
        location: An absolute path, or a URI.

    Raises:
        SweepError: Somebody else holds it; the message says who, and since when.
    """
    holding = _held_remotely(location) if "://" in location else _held_locally(location)
    with holding:
        yield


@contextmanager
def _held_locally(location: str) -> Iterator[None]:
    folder = Path(local_path(location))
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(location, _owner_of(descriptor)) from None
        except OSError as error:  # a file system without locks: the owner's word has to do
            _log.warning("%s has no file locks (%s); its owner is told by its name", folder, error)
        before = Owner.read(_content(descriptor))
        if before is not None and _lives_elsewhere(before):
            raise _busy(location, before)
        me = Owner.this_process()
        _replace(descriptor, me.write())
        with _renewed(lambda: _replace(descriptor, replace(me, alive_s=time.time()).write())):
            yield
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)  # not removed: a waiting process may have it open already
    finally:
        os.close(descriptor)


def _owner_of(descriptor: int) -> Owner | None:
    """Who holds the file; it writes so a moment after it got the lock."""
    for _ in range(20):
        owner = Owner.read(_content(descriptor))
        if owner is not None:
            return owner
        time.sleep(0.05)
    return None


def _lives_elsewhere(owner: Owner) -> bool:
    """Whether another machine, whose kernel's locks we do not see, gives signs of life."""
    elsewhere = owner.host != socket.gethostname()
    return elsewhere and time.time() - owner.alive_s < STALE_S


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, 4096, 0)


def _replace(descriptor: int, content: bytes) -> None:
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))


@contextmanager
def _held_remotely(location: str) -> Iterator[None]:
    claims = Folder.at(f"{location}/{LOCK}")
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
    contending = Owner.this_process(holds=False)
    claims.write(name, contending.write())
    try:
        _await_turn(claims, name, location)
        me = replace(contending, holds=True)
        claims.write(name, me.write())
        with _renewed(lambda: claims.write(name, replace(me, alive_s=time.time()).write())):
            yield
    finally:
        with contextlib.suppress(OSError):
            claims.filesystem.delete_file(claims.file(name))


def _await_turn(claims: Folder, name: str, location: str) -> None:
    """Return once no other live claim is there.

    Raises:
        SweepError: Another holds the folder, or came first.
    """
    give_up_s = time.monotonic() + _GIVE_UP_S
    while True:
        others = _live_claims(claims, name)
        if not others:
            return
        for other, owner in others.items():
            if owner is None or owner.holds or other < name or time.monotonic() > give_up_s:
                raise _busy(location, owner)
        time.sleep(_LOOK_S)  # they have seen ours, which came first, or will hold in a moment


def _live_claims(claims: Folder, own: str) -> dict[str, Owner | None]:
    found: dict[str, Owner | None] = {}
    selector = pafs.FileSelector(claims.path, allow_not_found=True)
    files = {info.base_name: info for info in claims.filesystem.get_file_info(selector)}
    for name in sorted(files):
        if name == own or not name[0].isdigit():  # a claim that is being written
            continue
        try:
            owner = Owner.read(claims.read(name))
        except FileNotFoundError:
            continue  # it gave way
        if owner is not None and (owner.is_dead() or _is_stale(owner, files[name], files.get(own))):
            with contextlib.suppress(OSError):
                claims.filesystem.delete_file(claims.file(name))
            continue
        found[name] = owner
    return found


def _is_stale(owner: Owner, claim: Any, own: Any) -> bool:
    """Whether a claim was renewed too long ago; told by the storage's clock where it has one."""
    if claim.mtime_ns and own is not None and own.mtime_ns:
        return bool((own.mtime_ns - claim.mtime_ns) / 1e9 > STALE_S)
    return time.time() - owner.alive_s > STALE_S


def _busy(location: str, owner: Owner | None) -> SweepError:
    who = str(owner) if owner is not None else "another process"
    return SweepError(
        f"{location} is in use by {who}: wait until it has ended, or end it; a second one would "
        "train every trial twice"
    )


@contextmanager
def _renewed(renew: Any) -> Iterator[None]:
    """Call ``renew`` now and then; what cannot be written now can perhaps be the next time."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(RENEW_S):
            try:
                renew()
            except OSError as error:
                _log.warning("cannot renew the lock of the results folder: %s", error)

    thread = threading.Thread(target=beat, name="sweep-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(RENEW_S)
