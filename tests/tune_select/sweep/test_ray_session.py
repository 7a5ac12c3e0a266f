"""The Ray that a sweep starts for itself: reachable from this machine alone, and with the token."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ray._private import utils as ray_utils
from ray._private.authentication import authentication_token_setup

from tune_select.sweep.ray_session import _no_handler_of_rays

CODE = """
import json, os, psutil, ray, subprocess, sys
from tune_select.sweep.config import ClusterConfig
from tune_select.sweep.ray_session import connected

STRANGER = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False)"

def stranger_gets_in(**environment):
    command = [sys.executable, "-c", STRANGER, ray.get_runtime_context().gcs_address]
    environment = {**os.environ, **environment}
    return subprocess.run(command, env=environment, capture_output=True).returncode == 0

with connected(ClusterConfig(num_cpus=1)):
    ray.get(ray.remote(lambda: 1).remote())
    me = psutil.Process()
    processes = [me, *me.children(recursive=True)]
    sockets = [c.laddr.ip for p in processes for c in p.net_connections() if c.status == "LISTEN"]
    print("ANSWER", json.dumps({
        "listening": sockets,
        "address": ray.get_runtime_context().gcs_address,
        "with the token": stranger_gets_in(),
        "with another": stranger_gets_in(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * 32),
    }))
"""


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    # An administrator's own settings for Ray are no business of this test.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    root = str(Path(__file__).parents[3])
    ran = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**inherited, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=200,
    )
    lines = [line for line in ran.stdout.splitlines() if line.startswith("ANSWER")]
    assert lines, ran.stderr
    return dict(json.loads(lines[0].removeprefix("ANSWER ")))


def test_it_listens_on_this_machine_only(answer: dict[str, Any]) -> None:
    assert answer["listening"], "there is something to reach"
    assert set(answer["listening"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert answer["address"].startswith("127.0.0.1:")


def test_a_signal_while_ray_starts_is_still_ours() -> None:
    # What ray.init calls to put its handler; that it does so is seen in test_gauntlet.
    before = signal.getsignal(signal.SIGTERM)
    with _no_handler_of_rays():
        ray_utils.set_sigterm_handler(lambda number, frame: sys.exit(number))
        assert signal.getsignal(signal.SIGTERM) == before
    try:
        ray_utils.set_sigterm_handler(print)
        assert signal.getsignal(signal.SIGTERM) is print
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(
    not hasattr(authentication_token_setup, "AUTH_MODE_ENV_VAR"),
    reason="this Ray, as 2.57, asks for no token unless it is told to",
)
def test_token_authentication_is_left_on(answer: dict[str, Any]) -> None:
    assert answer["with the token"]
    assert not answer["with another"]
