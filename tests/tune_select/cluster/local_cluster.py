"""A cluster of one machine, started as an administrator would, with token authentication on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tune_select.tracking.server import free_port

ROOT = Path(__file__).parents[3]
TOKEN = "5f2b9d6c" * 4
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


@dataclass(frozen=True)
class LocalCluster:
    """Where to reach a running cluster.

    Attributes:
        gcs: Address that a driver joins.
        dashboard: Address that jobs are submitted to.
        environment: Environment of a process that may talk to it.
    """

    gcs: str
    dashboard: str
    environment: Mapping[str, str]

    def submit(
        self, entrypoint: list[str], working_dir: Path, *more: str, token: str = TOKEN
    ) -> subprocess.CompletedProcess[str]:
        """``ray job submit``, followed to the job's end."""
        command = [*RAY, "job", "submit", "--address", self.dashboard]
        command += ["--working-dir", str(working_dir), *more, "--", *entrypoint]
        environment = {**self.environment, "RAY_AUTH_TOKEN": token}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)


@contextmanager
def local_cluster(python_path: str = "") -> Iterator[LocalCluster]:
    """Runs ``ray start --head`` on free ports of its own until the block ends.

    Args:
        python_path: What the nodes' image has installed, so to say.
    """
    folder = tempfile.mkdtemp(prefix="j", dir="/tmp")  # Ray's socket paths must be short
    gcs, dashboard = free_port(), free_port()
    ports = {
        "port": gcs,
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": free_port(),
        "min-worker-port": 0,
        "max-worker-port": 0,
    }
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    environment = {
        **inherited,
        "PYTHONPATH": python_path,
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
    }
    command = [*RAY, "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=2"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
    command += [f"--temp-dir={folder}", "--object-store-memory=200000000"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    log = Path(folder, "start.log")
    with log.open("w") as output:
        head = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{dashboard}"
        _wait_until_up(head, address, log)
        yield LocalCluster(f"127.0.0.1:{gcs}", address, environment)
    finally:
        _end(head.pid)
        head.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(head: subprocess.Popen[bytes], address: str, log: Path) -> None:
    request = urllib.request.Request(
        f"{address}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    deadline = time.monotonic() + 120
    while True:
        assert head.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(log.read_text()) from error
            time.sleep(0.5)


def _end(pid: int) -> None:
    """End a cluster's processes, by their own ids: others may run Ray on this machine too."""
    try:
        head = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    processes = [head, *head.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=15)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
