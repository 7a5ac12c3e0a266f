"""Sweeps submitted as Ray jobs to a cluster on this machine, with token authentication on."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.tune_select.cluster.local_cluster import ROOT, LocalCluster, local_cluster
from tune_select.history import SubsetHistory

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        importlib.util.find_spec("aiohttp_cors") is None,
        reason='job submission needs `pip install "ray[default]"`',
    ),
    # Sockets of the clients that poll for a job's end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

MANIFEST = ROOT / "tune_select" / "cluster" / "rayjob.yaml"
SWEEP = {
    "name": "job",
    "trainable": "my_module.Net",
    "train": {"model": "small_cnn", "learning_rate": 0.02, "batch_size": 64, "max_epochs": 2},
    "selection": {"fraction": 0.1, "select_every": 1},
    "space": {"learning_rate": [0.01]},
    "arms": ["cached"],
    "promote": 0,
}
MY_MODULE = """
from trainables import ImageClassification

class Net(ImageClassification):
    def step(self):
        return {**super().step(), "from_my_module": 1}
"""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A folder with a sweep and a module of the user's own, which is nowhere installed."""
    folder = tmp_path / "users"
    folder.mkdir()
    (folder / "my_module.py").write_text(MY_MODULE)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    return folder


@pytest.fixture(scope="module")
def bare() -> Iterator[LocalCluster]:
    """Nodes with the libraries alone."""
    with local_cluster() as cluster:
        yield cluster


def check(results: Path, output: str, own: bool = True) -> None:
    trials = pd.read_parquet(results / "trials.parquet").set_index("arm")
    assert sorted(trials.index) == ["cached", "seed"], output
    assert set(trials["status"]) == {"finished"}
    assert not own or (trials["from_my_module"] == 1).all()
    assert SubsetHistory.load(results / "history" / "seed").complete
    assert (results / "report.html").exists()


def test_from_a_checkout_then_resumed(bare: LocalCluster, users: Path, tmp_path: Path) -> None:
    """The nodes have neither tune-select nor the user's code: both are in the working directory."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("tune_select", "trainables", "search_spaces", "analysis"):
        (checkout / name).symlink_to(ROOT / name)
    for file in users.iterdir():
        (checkout / file.name).write_bytes(file.read_bytes())
    entrypoint = [sys.executable, "-m", "tune_select", "run", "sweep.yaml"]
    done = bare.submit([*entrypoint, "-o", f"storage_path={tmp_path}/r"], checkout)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    check(tmp_path / "r" / "job", done.stdout)
    before = pd.read_parquet(tmp_path / "r" / "job" / "trials.parquet")
    again = [sys.executable, "-m", "tune_select", "run", "--resume", f"{tmp_path}/r/job"]
    resumed = bare.submit(again, checkout)
    assert resumed.returncode == 0, resumed.stdout[-4000:]
    after = pd.read_parquet(tmp_path / "r" / "job" / "trials.parquet")
    assert before["trial_id"].tolist() == after["trial_id"].tolist(), "nothing runs twice"


def test_from_a_node_that_has_the_code(bare: LocalCluster, users: Path, tmp_path: Path) -> None:
    """No job: the driver joins the cluster, and its packages travel to the workers."""
    environment = {**bare.environment, "PYTHONPATH": f"{ROOT}:{users}"}
    command = [sys.executable, "-m", "tune_select", "run", "sweep.yaml"]
    command += ["-o", f"cluster.address={bare.gcs}", "-o", f"storage_path={tmp_path}/r"]
    done = subprocess.run(
        command, cwd=users, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    check(tmp_path / "r" / "job", done.stdout)


def test_nobody_without_the_token_is_let_in(bare: LocalCluster, users: Path) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{bare.dashboard}/api/jobs/", timeout=10)
    assert refused.value.code in (401, 403)
    refused.value.close()
    wrong = bare.submit(["true"], users, token="0" * 32)
    assert wrong.returncode != 0
    assert "token" in (wrong.stdout + wrong.stderr).lower()


def test_the_manifest_s_entry_point_on_an_image_with_the_package(
    users: Path, tmp_path: Path
) -> None:
    """KubeRay submits without a working directory; folders of this machine stand for the mounts."""
    program, *arguments = shlex.split(manifest()["spec"]["entrypoint"])
    assert program == "tune-select"
    sweep = users / "sweep.yaml"
    sweep.write_text(yaml.safe_dump({**SWEEP, "trainable": "trainables.ImageClassification"}))
    places = {"/sweeps/sweep.yaml": str(sweep), "storage_path=/results": f"storage_path={tmp_path}"}
    assert set(places) <= set(arguments)
    entrypoint = [sys.executable, "-m", "tune_select", *(places.get(a, a) for a in arguments)]
    (tmp_path / "empty").mkdir()
    variables = json.dumps(yaml.safe_load(manifest()["spec"]["runtimeEnvYAML"]))
    with local_cluster(python_path=str(ROOT)) as cluster:
        done = cluster.submit(entrypoint, tmp_path / "empty", "--runtime-env-json", variables)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    check(tmp_path / "job", done.stdout, own=False)


def manifest() -> dict[str, Any]:
    return dict(yaml.safe_load(MANIFEST.read_text()))
