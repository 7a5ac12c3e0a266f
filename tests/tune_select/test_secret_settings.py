from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from tune_select.outputs import ResultsFolder
from tune_select.secret_settings import fill_secrets, mask_settings
from tune_select.sweep_file import dump_sweep, parse_sweep
from tune_select.sweep_tracking import SweepTracking

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


def test_no_secret_is_in_a_copy_and_everything_else_is() -> None:
    config = parse_sweep(SWEEP)
    text = dump_sweep(config)
    assert SECRET not in text
    written = yaml.safe_load(text)
    assert written["train"] == SWEEP["train"], "a word like token is no secret by itself"
    assert written["cluster"]["runtime_env"]["env_vars"] == {
        "HF_TOKEN": "***",
        "AWS_ACCESS_KEY_ID": "***",
        "OMP_NUM_THREADS": "1",
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
