import pytest

from tune_select.secret_names import is_secret_name
from tune_select.secrets import MASK, fill_masked, mask_settings, mask_value
from tune_select.tracking.events import params_of


def _words(text: str) -> list[str]:
    return text.split()


SECRET = _words("""
DB_PASS PASS mypass db_pass_2 PGPASSWORD passwd PASSPHRASE pwd MYSQL_PWD secret SECRET_2
client_secret HF_TOKEN hfToken hftoken TOKEN_FILE_CONTENT api_key APIKEY apiKey AWS_ACCESS_KEY_ID
account_key key sshkey PRIVATE_KEY_PEM private credentials GOOGLE_CREDENTIALS_JSON creds db_cred
AUTH auth_header BASIC_AUTH Authorization GH_PAT SENTRY_DSN WANDB_KEY encryption_key tokens_secret
STORAGE_SAS AzureStorageConnectionString PGPASSFILE dbPassword AWS_SECRET_ACCESS_KEY apikey
SLACK_WEBHOOK JWT netrc userpass smtp_pass kms_key""")
PLAIN = _words("""
tokenizer pad_token pad_token_id max_tokens tokens token_type_ids num_key_value_heads
key_metric image_key sort_key keypoints monkey turkey keyboard author authority compass
bypass n_passes forward_pass passes keys learning_rate path data.root patience
private_test hotkey name key_dim keep keep_prob category_key pw_conv pat_size query_key_norm""")


@pytest.mark.parametrize("name", SECRET)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN)
def test_words_that_only_look_like_one_are_shown(name: str) -> None:
    assert not is_secret_name(name)


def test_masking_reaches_every_depth_and_no_further() -> None:
    settings = {
        "data": {"options": [{"DB_PASS": "hunter2", "port": 5432}], "use_auth": True, "key": None},
        "train": {"pad_token": "[PAD]", "auth": {"user": "me", "deep": ["hunter2"]}, "pwd": 1234},
        "cluster": {"runtime_env": {"env_vars": {"HOME": "/root", "REF": "${DB}"}}},
    }
    assert mask_settings(settings) == {
        "data": {"options": [{"DB_PASS": MASK, "port": 5432}], "use_auth": True, "key": None},
        "train": {"pad_token": "[PAD]", "auth": {"user": MASK, "deep": [MASK]}, "pwd": MASK},
        "cluster": {"runtime_env": {"env_vars": {"HOME": MASK, "REF": "${DB}"}}},
    }


def test_flat_names_are_masked_by_every_part() -> None:
    assert mask_value("data/auth/user", "me") == MASK
    assert mask_value("cluster.runtime_env.env_vars.HOME", "/root") == MASK
    assert mask_value("data/name", "digits") == "digits"
    params = params_of({"data": {"options": {"DB_PASS": "hunter2"}, "name": "digits"}})
    assert params == {"data/options/DB_PASS": MASK, "data/name": "digits"}


def test_a_resume_finds_what_was_masked_in_the_environment() -> None:
    settings = {"data": {"options": [{"db_pass": "hunter2"}]}, "cluster": {"token": MASK}}
    masked = mask_settings(settings)
    assert fill_masked(masked, {"DB_PASS": "hunter2"}) == settings
    with pytest.raises(
        ValueError, match=r"data\.options\.db_pass is a secret.*export it as DB_PASS"
    ):
        fill_masked(masked, {})
