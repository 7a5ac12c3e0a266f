import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_select.tracking.uri import expand_uri, mask_uri, recall_uri, remember_uri

PASSWORDS = st.text("abcXYZ019!$%^*()_+=-.,~:@/", min_size=1, max_size=20)


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
    monkeypatch.setattr("tune_select.tracking.uri._known", {})
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
