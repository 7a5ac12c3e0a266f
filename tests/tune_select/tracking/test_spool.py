import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_select.tracking.spool import (
    Position,
    SpoolAppender,
    SpoolBusyError,
    Status,
    count_unsent,
    forget_before,
    locked,
    read_events,
    read_status,
    segment_numbers,
    write_status,
)


def drain(folder: Path, limit: int = 7) -> list[int]:
    """Reads everything as the writer does; returns the events' numbers."""
    numbers: list[int] = []
    while True:
        events, position = read_events(folder, read_status(folder).position, limit)
        numbers += [event["n"] for event in events]
        write_status(folder, Status(position))
        forget_before(folder, position)
        if not events:
            return numbers


def test_events_come_back_in_order_over_segments(tmp_path: Path) -> None:
    appender = SpoolAppender(tmp_path, segment_bytes=100)
    for n in range(50):
        appender.append({"n": n, "x": float("nan")})
    assert len(segment_numbers(tmp_path)) > 5
    assert count_unsent(tmp_path) == 50
    assert drain(tmp_path) == list(range(50))
    assert count_unsent(tmp_path) == 0
    assert len(segment_numbers(tmp_path)) == 1, "sent segments are deleted"
    appender.append({"n": 50})
    assert drain(tmp_path) == [50]
    appender.close()


def test_a_new_driver_goes_on_where_the_last_one_was_killed(tmp_path: Path) -> None:
    first = SpoolAppender(tmp_path)
    first.append({"n": 0})
    with (tmp_path / "events-00000001.jsonl").open("a") as file:
        file.write('{"n": 1, "val')  # killed in the middle of a line
    first.close()
    assert drain(tmp_path) == [0]
    second = SpoolAppender(tmp_path)
    second.append({"n": 2})
    assert drain(tmp_path) == [2]
    second.close()


def test_a_line_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "events-00000001.jsonl"
    path.write_text('{"n": 0}\n{"n": 1')
    assert drain(tmp_path) == [0]
    path.write_text('{"n": 0}\n{"n": 1}\n')
    assert drain(tmp_path) == [1]


def test_a_broken_line_is_skipped_with_a_warning(tmp_path: Path, caplog) -> None:
    (tmp_path / "events-00000001.jsonl").write_text('{"n": 0}\n{"n"\n\n{"n": 2}\n')
    assert drain(tmp_path) == [0, 2]
    assert "broken line" in caplog.text


def test_numbering_never_goes_back(tmp_path: Path) -> None:
    write_status(tmp_path, Status(Position(7, 10)))
    appender = SpoolAppender(tmp_path)
    appender.append({"n": 0})
    appender.close()
    assert segment_numbers(tmp_path) == [8]
    assert drain(tmp_path) == [0]


def test_two_drivers_on_one_spool_are_refused(tmp_path: Path) -> None:
    appender = SpoolAppender(tmp_path)
    code = (
        "import sys; from pathlib import Path; from tune_select.tracking.spool import *\n"
        "SpoolAppender(Path(sys.argv[1]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "SpoolBusyError: another process logs to" in other.stderr
    appender.close()
    with (  # free again, and held
        locked(tmp_path / "append.lock", "logs to"),
        pytest.raises(SpoolBusyError),
    ):
        SpoolAppender(tmp_path)


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch, caplog) -> None:
    """Writes fail, some in the middle of a line; all is there once the disk has room again."""
    appender = SpoolAppender(tmp_path)
    appender.append({"n": 0})
    real_write = os.write
    room = iter([3, None, 0, None, None])  # 3 bytes of a line fit, then nothing

    def full(descriptor: int, data: bytes) -> int:
        fits = next(room, None)
        if fits is None:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data[:fits])

    monkeypatch.setattr(os, "write", full)
    for n in range(1, 6):
        appender.append({"n": n})
    monkeypatch.setattr(os, "write", real_write)
    appender.append({"n": 6})
    assert drain(tmp_path) == list(range(7))
    assert appender.lost == 0
    assert "No space left" in caplog.text or "wrote 3 of" in caplog.text
    appender.close()


def test_memory_stays_bounded_when_the_disk_stays_full(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tune_select.tracking.spool.BACKLOG_EVENTS", 10)
    appender = SpoolAppender(tmp_path)
    real_write = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for n in range(25):
        appender.append({"n": n})
    assert appender.lost == 15
    monkeypatch.setattr(os, "write", real_write)
    appender.append({"n": 25})
    assert drain(tmp_path) == list(range(15, 26))
    appender.close()


def test_status_round_trip(tmp_path: Path) -> None:
    assert read_status(tmp_path) == Status()
    status = Status(Position(3, 14), 1.5, "gone")
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
    assert json.loads((tmp_path / "sent.json").read_text())["segment"] == 3
