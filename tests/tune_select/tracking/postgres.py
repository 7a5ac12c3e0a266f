"""A PostgreSQL of a test's own, from Debian's package, with a password, on 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tune_select.tracking.server import free_port

PASSWORD = "s3cret-pw"


def postgres_folder() -> Path | None:
    """Where PostgreSQL's programs are, or None where it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = shutil.which("postgres") or (str(debian[-1]) if debian else None)
    return Path(found).resolve().parent if found else None


@contextmanager
def running_postgres() -> Iterator[int]:
    """Runs one with an empty database ``mlflow`` of a user ``mlflow``; yields its port."""
    programs = postgres_folder()
    assert programs is not None
    # PostgreSQL refuses to run as root; Debian's package brings a user of its own.
    user = "postgres" if os.geteuid() == 0 else None
    base = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    (base / "password").write_text(PASSWORD)
    if user:
        for path in (base, base / "password"):
            shutil.chown(path, user)
    data, port = base / "data", free_port()
    initialise = [
        programs / "initdb", "-D", data, "-U", "mlflow", "--auth=scram-sha-256",
        f"--pwfile={base / 'password'}", "--no-sync",
    ]  # fmt: skip
    subprocess.run(initialise, user=user, check=True, capture_output=True, cwd=base)
    serve = [
        programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", base,
        "-c", "fsync=off",
    ]  # fmt: skip
    process = subprocess.Popen(
        serve, user=user, cwd=base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        create = [
            programs / "createdb",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-U",
            "mlflow",
            "mlflow",
        ]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        deadline = time.monotonic() + 60
        while subprocess.run(create, env=environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "PostgreSQL did not come up"
            time.sleep(0.2)
        yield port
    finally:
        process.send_signal(signal.SIGINT)  # its fast shutdown: open connections are cut
        process.wait(30)
        shutil.rmtree(base)
