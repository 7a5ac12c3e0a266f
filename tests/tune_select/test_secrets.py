from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.secrets import (
    expand_uri,
    fill_secrets,
    mask_settings,
    mask_text,
    mask_uri,
    recall_uri,
    remember_secrets,
    remember_uri,
)
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.tracking import SweepTracking
from tune_select.sweep.yaml_file import dump_sweep, parse_sweep

PASSWORDS = st.text("abcXYZ019!$%^*()_+=-.,~:@/", min_size=1, max_size=20)
SECRET = "hunter2"
SWEEP: dict[str, Any] = {
    "name": "s",
    "space": {"learning_rate": [0.1]},
    "train": {"max_epochs": 40, "pad_token": "[PAD]", "tokenizer": "bert"},
    "data": {"root": f"s3://me:{SECRET}@bucket/data"},
    "tracking": {"uri": f"http://me:{SECRET}@host:5000"},
    "cluster": {
        "runtime_env": {
            "env_vars": {"HF_TOKEN": SECRET, "AWS_ACCESS_KEY_ID": SECRET, "OMP_NUM_THREADS": "1"},
            "pip": [f"git+https://me:{SECRET}@host/package"],
        }
    },
}


@settings(deadline=None)
@given(PASSWORDS)
def test_no_password_survives(password: str) -> None:
    secret = f"S3CR{password}ET"
    uri = f"postgresql+psycopg2://mlflow:{secret}@db.example:5432/mlflow?sslmode=require"
    masked = mask_uri(uri)
    assert secret not in masked
    assert masked == "postgresql+psycopg2://mlflow:***@db.example:5432/mlflow?sslmode=require"
    assert mask_uri(masked) == masked
    assert secret not in mask_uri(f"cannot reach '{uri}': connection refused")


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:////tmp/results/mlflow.db",
        "http://127.0.0.1:5000",
        "http://user@127.0.0.1:5000/path",
        "postgresql://mlflow:${DB_PASSWORD}@db/mlflow",
        "s3://bucket/key@version",
        "see http://a:1/b and mail me@example.org",
    ],
)
def test_what_is_no_secret_stays(uri: str) -> None:
    assert mask_uri(uri) == uri


def test_secrets_in_queries_are_masked() -> None:
    masked = mask_uri("https://host/api?user=me&api_key=abc123&X-Token=def&page=2")
    assert masked == "https://host/api?user=me&api_key=***&X-Token=***&page=2"


def test_empty_user_name_is_masked_too() -> None:
    assert mask_uri("https://:token@host/") == "https://:***@host/"


def test_variables_are_expanded_and_missing_ones_named() -> None:
    uri = "postgresql://mlflow:${DB_PASSWORD}@db/mlflow"
    assert expand_uri(uri, {"DB_PASSWORD": "x"}) == "postgresql://mlflow:x@db/mlflow"
    with pytest.raises(ValueError, match="DB_PASSWORD, which is not set"):
        expand_uri(uri, {})


def test_a_remembered_uri_is_recalled_in_this_process_only(monkeypatch) -> None:
    masked = remember_uri("http://me:hunter2@host:5000")
    assert recall_uri(masked) == "http://me:hunter2@host:5000"
    monkeypatch.setattr("tune_select.secrets._known", {})
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert recall_uri(masked) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:other@elsewhere:5000")
    assert recall_uri(masked) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hunter3@host:5000")
    assert recall_uri(masked) == "http://me:hunter3@host:5000"
    assert recall_uri("sqlite:////a.db") == "sqlite:////a.db"


def test_a_masked_uri_does_not_overwrite_the_remembered_one() -> None:
    masked = remember_uri("http://me:hunter2@host:5001")
    remember_uri(masked)
    assert recall_uri(masked) == "http://me:hunter2@host:5001"


def test_a_pickled_callback_holds_no_password(tmp_path) -> None:
    from tune_select.tracking import MLflowCallback

    callback = MLflowCallback("http://me:hunter2@host:5000", "e", "s", "id", folder=tmp_path)
    data = pickle.dumps(callback)
    assert b"hunter2" not in data
    assert "hunter2" not in repr(callback)
    assert pickle.loads(data)._target.tracking_uri == "http://me:hunter2@host:5000"


def test_no_secret_is_in_a_copy_and_everything_else_is() -> None:
    config = parse_sweep(SWEEP)
    text = dump_sweep(config)
    assert SECRET not in text
    written = yaml.safe_load(text)
    assert written["train"] == SWEEP["train"], "a word like token is no secret by itself"
    assert written["cluster"]["runtime_env"]["env_vars"] == {
        "HF_TOKEN": "***",
        "AWS_ACCESS_KEY_ID": "***",
        "OMP_NUM_THREADS": "***",
    }
    assert config.cluster.runtime_env["env_vars"]["HF_TOKEN"] == SECRET, "left as it was"


def test_no_secret_is_in_the_results_folder_or_in_what_mlflow_is_told(tmp_path: Path) -> None:
    config = parse_sweep({**SWEEP, "storage_path": str(tmp_path), "sweep_id": "id"})
    folder = ResultsFolder.create(config)
    tracking = SweepTracking.of(config, folder)
    (callback,) = tracking.callbacks("search")
    assert SECRET not in json.dumps(tracking.params)
    assert SECRET.encode() not in pickle.dumps(callback)
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert SECRET.encode() not in file.read_bytes(), file


def test_secrets_are_found_again_in_what_others_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_select.secrets._values", set())
    monkeypatch.setenv("MY_API_KEY", "from-environment-1")
    monkeypatch.setenv("MY_KEY_FILE_TOKEN", "/home/me/token.json")
    monkeypatch.setenv("SHORT_TOKEN", "on")
    given = {
        "data": {"options": [{"DB_PASS": "hunter2", "port": 5432}], "auth": {"deep": ["hunter3"]}},
        "cluster": {"runtime_env": {"env_vars": {"HF_TOKEN": "hf_abcdef", "HOME": "/root/home"}}},
        "space": {
            "api_key": ["key-one", "key-two"],
            "pad_token": ["[PAD]+++"],
            "token": "${TOKEN}",
        },
        "arms": [{"name": "a", "selector": "full", "secret": 123456}],
        "train": {"password": "abc", "key": True},
    }
    parse_sweep({**SWEEP, "data": {**SWEEP["data"], **given["data"]}})
    remember_secrets(given)
    told = "login hunter2/hunter3 hf_abcdef key-two 123456 from-environment-1 failed"
    assert mask_text(told) == "login ***/*** *** *** *** *** failed"
    kept = "on abc /root/home [PAD]+++ 5432 /home/me/token.json ${TOKEN} http://me@host"
    assert mask_text(kept) == kept
    assert mask_text(f"http://me:{SECRET}@host") == "http://me:***@host"


def test_references_stay_and_are_filled_in() -> None:
    given = {"env_vars": {"HF_TOKEN": "${MY_TOKEN}"}, "pip": ["git+https://me:${MY_TOKEN}@h/p"]}
    assert mask_settings({"runtime_env": given}) == {"runtime_env": given}
    assert fill_secrets(given, {"MY_TOKEN": SECRET}) == {
        "env_vars": {"HF_TOKEN": SECRET},
        "pip": [f"git+https://me:{SECRET}@h/p"],
    }
    with pytest.raises(ValueError, match=r"runtime_env\.env_vars\.HF_TOKEN refers to \$\{MY_TOKEN"):
        fill_secrets(given, {})


def test_a_resumed_sweep_finds_masked_variables_in_the_environment() -> None:
    masked = {"env_vars": {"HF_TOKEN": "***", "A": "1"}, "excludes": ["**/__pycache__"]}
    filled = fill_secrets(masked, {"HF_TOKEN": SECRET})
    assert filled == {"env_vars": {"HF_TOKEN": SECRET, "A": "1"}, "excludes": ["**/__pycache__"]}
    with pytest.raises(ValueError, match=r"HF_TOKEN\}, which is not set: export it"):
        fill_secrets(masked, {})
    with pytest.raises(ValueError, match=r"runtime_env\.pip\[0\] is git.*its secret is not stored"):
        fill_secrets({"pip": ["git+https://me:***@host/package"]}, {})


def test_nothing_to_fill_stays_as_it_is() -> None:
    given = {"working_dir": "/x", "pip": ["timm"], "config": {"setup_timeout_seconds": 600}}
    assert fill_secrets(given, {}) == given
    assert fill_secrets({}, {}) == {}
