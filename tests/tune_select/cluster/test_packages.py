from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tune_select.cluster import import_strings, is_remote, runtime_env_for, travelling_modules
from tune_select.cluster.packages import OUR_PACKAGES

JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@pytest.fixture
def users_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module and a package of the user's own, importable but not installed."""
    (tmp_path / "single_file.py").write_text("x = 1")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_our_packages_travel() -> None:
    paths = travelling_modules()
    assert [Path(path).name for path in paths] == list(OUR_PACKAGES)
    assert all(Path(path).is_dir() for path in paths)


def test_so_does_the_user_s_own_code_but_no_library(users_code: Path) -> None:
    settings = {
        "trainable": "my_package.models.Net",
        "train": {"model": "single_file.Net", "max_epochs": 3, "optimizer": "sgd"},
        "arms": ["cached", {"name": "own", "selector": "my_package.Selector"}],
        "space": "search_spaces.digits",
        "tune": {"scheduler": "ray.tune.schedulers.FIFOScheduler", "options": ["sys.path"]},
        "data": {"root": "data.npz", "path": "/some/folder.d"},
    }
    own = travelling_modules(settings)[len(OUR_PACKAGES) :]
    assert own == [str(users_code / "my_package"), str(users_code / "single_file.py")]


def test_which_texts_may_name_code() -> None:
    settings = {"a": "x.Y", "b": ["x.y.Z", "plain", "1.5", "a b.c", "", "/x.y"], "c": {"d": None}}
    assert import_strings(settings) == ["x.Y", "x.y.Z"]


@pytest.mark.parametrize(
    ("address", "environment", "remote"),
    [
        (None, {}, False),
        ("local", {}, False),
        ("auto", {}, True),
        ("ray://head:10001", {}, True),
        (None, {"RAY_ADDRESS": "10.0.0.1:6379"}, True),
    ],
)
def test_whose_cluster(address: str | None, environment: dict[str, str], remote: bool) -> None:
    assert is_remote(address, environment) is remote


def test_nothing_travels_on_this_machine() -> None:
    assert runtime_env_for({}, remote=False) is None
    given = {"env_vars": {"A": "1"}}
    assert runtime_env_for(given, remote=False) == given


def test_a_cluster_is_sent_the_packages(users_code: Path) -> None:
    given = {"pip": ["timm"], "py_modules": ["s3://bucket/extra.zip"]}
    found = runtime_env_for(given, ["my_package.Net"], remote=True, environment={})
    assert found is not None
    assert found["pip"] == ["timm"]
    assert found["py_modules"][0] == "s3://bucket/extra.zip"
    assert found["py_modules"][1:] == travelling_modules(["my_package.Net"])
    assert given == {"pip": ["timm"], "py_modules": ["s3://bucket/extra.zip"]}, "left as it was"


def test_a_job_s_own_environment_is_not_contradicted(
    users_code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {JOB: json.dumps({"runtime_env": {"py_modules": ["gcs://x.zip"]}})}
    assert runtime_env_for({}, remote=True, environment=modules) is None
    monkeypatch.chdir(users_code)
    directory = {JOB: json.dumps({"runtime_env": {"working_dir": "gcs://y.zip"}})}
    found = runtime_env_for({}, ["my_package.Net"], remote=True, environment=directory)
    assert found is not None
    assert found["py_modules"] == travelling_modules(), "the working directory brings the rest"


def test_ray_takes_what_we_make() -> None:
    from ray.runtime_env import RuntimeEnv

    found = runtime_env_for({"env_vars": {"A": "1"}}, remote=True, environment={})
    assert found is not None
    RuntimeEnv(**found)


def test_python_m_tune_select_is_the_command_line() -> None:
    import subprocess

    shown = subprocess.run(
        [sys.executable, "-m", "tune_select", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "validate" in shown
