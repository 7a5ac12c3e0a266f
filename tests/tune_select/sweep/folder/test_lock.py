"""One process at a time, on a path and on other storage; owners that are gone hold nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import threading
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tune_select.storage import Folder
from tune_select.sweep.config import SweepError
from tune_select.sweep.folder.lock import LOCK, STALE_S, Owner, locked

TRIES = 100


def gone() -> int:
    """A process id that nobody has."""
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    assert process.pid is not None
    return process.pid


def race(location: str, contenders: int = 2) -> list[str]:
    """Let threads enter at the same moment; who got in, or why not."""
    gate, leave = threading.Barrier(contenders), threading.Barrier(contenders)
    said: list[str] = []

    def contend() -> None:
        gate.wait()
        try:
            with locked(location):
                said.append("in")
                leave.wait()  # held until the other has had its answer
        except SweepError as error:
            said.append(str(error))
            leave.wait()

    threads = [threading.Thread(target=contend) for _ in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def test_of_two_at_once_one_gets_in_every_time(tmp_path: Path) -> None:
    for number in range(TRIES):
        said = race(str(tmp_path / str(number)))
        assert said.count("in") == 1
        (refused,) = [text for text in said if text != "in"]
        assert f"process {os.getpid()} on {socket.gethostname()}, since 20" in refused


def test_of_two_at_once_on_other_storage_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_select.sweep.folder.lock._LOOK_S", 0.005)
    root = f"memory://{uuid.uuid4().hex}"
    for number in range(TRIES):
        said = race(f"{root}/{number}", contenders=2 + number % 2)
        assert said.count("in") == 1, said


@pytest.fixture(params=["local", "remote"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}/s"


def test_it_is_free_again_afterwards(location: str) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), locked(location):
            raise KeyError
    with locked(location), pytest.raises(SweepError, match="in use by process"), locked(location):
        pass


def leave_behind(location: str, **changed: Any) -> None:
    owner = Owner(**{**asdict(Owner.this_process()), **changed})
    if "://" in location:
        Folder.at(f"{location}/{LOCK}").write("0000-x", owner.write())
    else:
        (Path(location) / LOCK).write_bytes(owner.write())


def test_a_dead_owner_on_this_machine_holds_nothing(location: str) -> None:
    leave_behind(location, pid=gone())
    with locked(location):
        pass


def test_an_owner_elsewhere_holds_as_long_as_it_gives_signs_of_life(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_behind(location, host="elsewhere", pid=1)
    with pytest.raises(SweepError, match="process 1 on elsewhere, since"), locked(location):
        pass
    monkeypatch.setattr("tune_select.sweep.folder.lock.STALE_S", -1.0)
    with locked(location):
        pass


def test_an_owner_renews_its_sign_of_life(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_select.sweep.folder.lock.RENEW_S", 0.01)

    def alive_s() -> float:
        if "://" not in location:
            return float(json.loads((Path(location) / LOCK).read_bytes())["alive_s"])
        claims = Folder.at(f"{location}/{LOCK}")
        from pyarrow import fs

        (info,) = [
            info
            for info in claims.filesystem.get_file_info(fs.FileSelector(claims.path))
            if not info.base_name.startswith(".")
        ][:1]
        return float(json.loads(claims.read(info.base_name))["alive_s"])

    with locked(location):
        began_s, deadline_s = alive_s(), time.monotonic() + 10
        while alive_s() == began_s:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    assert STALE_S > 2 * 15.0


def _hold(location: str, ready: Any) -> None:
    with locked(location):
        ready.set()
        time.sleep(60)


def test_a_killed_owner_lets_go(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path), ready))
    process.start()
    assert ready.wait(20)
    assert process.pid is not None
    with pytest.raises(SweepError, match=f"in use by process {process.pid}"), locked(str(tmp_path)):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with locked(str(tmp_path)):
        pass
