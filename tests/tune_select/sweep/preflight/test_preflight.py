"""What would go wrong later is found before anything runs."""

import contextlib
import socket
from contextlib import contextmanager
from threading import Thread

import pytest

from tune_select.search.space import resolve_space
from tune_select.sweep.config import SweepError
from tune_select.sweep.plan import make_plan
from tune_select.sweep.preflight import check_cluster, check_resources, check_storage, check_trials
from tune_select.sweep.yaml_file import parse_sweep

SWEEP = {
    "name": "s",
    "space": {"learning_rate": [0.1, 0.2]},
    "train": {"model": "small_cnn", "learning_rate": 0.1, "max_epochs": 40},
    "arms": ["full"],
    "promote": 0,
    "cluster": {"num_cpus": 2, "num_gpus": 0},
}


def sweep(**keys):
    return parse_sweep({**SWEEP, **keys})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"resources": {"cpu": 64}}, r"resources\.cpu=64 is more than this machine's Ray has, 2"),
        ({"resources": {"cpu": 1, "gpu": 0.5}}, r"resources\.gpu=0\.5 is more than"),
        ({"resources": {"cpus": 1}}, r"resources\.cpus=1 is unknown .* did you mean cpu\?"),
        ({"resources": {"num_gpus": 1}}, r"did you mean gpu\?"),
        ({"resources": {"TPU": 1}}, r"resources\.TPU=1 is unknown"),
        ({"resources": {"cpu": 1, "memory": 1e18}}, r"resources\.memory=1e\+18 is more than"),
        ({"resources": {"GPU": 1}}, r"resources\.gpu=1 is more than this machine's Ray has, 0"),
        ({"resources": {}}, "resources asks for nothing"),
        ({"resources": {"cpu": 0}}, "resources asks for nothing"),
        (
            {"arms": [{"name": "big", "selector": "full", "resources": {"cpu": 3}}]},
            r"arms\.big\.resources\.cpu=3 is more than",
        ),
    ],
)
def test_resources_that_never_fit_are_refused(keys, message):
    with pytest.raises(SweepError, match=message):
        check_resources(sweep(**keys))


@pytest.mark.parametrize(
    ("amounts", "message"),
    [
        ({"cpu": -1}, "cpu must be a non-negative number"),
        ({"cpu": 1, "memory": float("nan")}, "finite"),
        ({"cpu": 1e-9}, "at least 0.0001"),
        ({"cpu": 1, "CPU": 2}, "CPU names cpu a second time"),
        ({"cpu": "1"}, "write it without quotes"),
    ],
)
def test_amounts_that_ray_could_not_count_are_refused_for_arms_too(amounts, message):
    arm = {"name": "a", "selector": "full", "resources": amounts}
    for keys in ({"resources": amounts}, {"arms": [arm]}):
        with pytest.raises(SweepError, match=message):
            sweep(**keys)


def test_resources_that_fit_or_that_a_cluster_may_have_pass():
    check_resources(sweep(resources={"cpu": 0.5}))
    check_resources(sweep(resources={"TPU": 4}, cluster={"address": "head:6379"}))
    with pytest.raises(SweepError, match="whole number"):
        check_resources(sweep(resources={"gpu": 1.5}, cluster={"address": "head:6379"}))


@contextmanager
def listener(answer):
    """A server on this machine that takes one connection and hands it to ``answer``."""

    def serve():
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def greets_as_grpc(connection):
    assert connection.recv(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    connection.sendall(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0]) + b"\0\4\0\x40\0\0")


def test_a_cluster_where_nobody_answers_is_refused_and_one_that_greets_is_not(monkeypatch):
    with listener(greets_as_grpc) as address:
        check_cluster(sweep(cluster={"address": address}))
    with pytest.raises(SweepError, match=rf"cluster\.address is {address}, where nobody answers"):
        check_cluster(sweep(cluster={"address": address}))
    monkeypatch.setenv("RAY_ADDRESS", f"ray://{address}")
    with pytest.raises(SweepError, match="RAY_ADDRESS is ray://"):
        check_cluster(sweep())


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda connection: connection.sendall(b"+OK"),
        lambda connection: connection.recv(4096) and None,  # hangs up
        lambda connection: [None for part in iter(lambda: connection.recv(4096), b"")],  # is silent
    ],
    ids=["web server", "short greeting", "hangs up", "silent"],
)
def test_what_listens_and_is_no_cluster_is_refused(answer, monkeypatch):
    monkeypatch.setattr("tune_select.sweep.preflight.cluster.TIMEOUT_S", 0.2)
    with (
        listener(answer) as address,
        pytest.raises(SweepError, match=rf"cluster\.address is {address}, .* no Ray cluster"),
    ):
        check_cluster(sweep(cluster={"address": address}))


def test_a_cluster_with_tls_shows_nothing_to_the_outside_and_is_let_be(monkeypatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with listener(lambda connection: None) as address:
        check_cluster(sweep(cluster={"address": address}))


def test_storage_that_cannot_be_written_is_refused_and_nothing_is_left(tmp_path):
    check_storage(sweep(storage_path=str(tmp_path / "new" / "results")))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepError, match="is not a folder"):
        check_storage(sweep(storage_path=str(tmp_path / "file" / "results")))
    with pytest.raises(SweepError, match="cannot be written"):
        check_storage(sweep(storage_path="/proc/results"))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"learning_rate": [0.1, -1]}, r"learning_rate must be .* got -1"),
        ({"learning_rate": {"choice": [0.1, 0.2, "fast"]}}, "got 'fast'"),
        ({"optimizer": ["sgd", "adam", "adma"]}, "optimizer must be .* got 'adma'"),
        ({"selection.fraction": [0.1, 0.2, 1.5]}, r"fraction must be .* got 1\.5"),
        ([{"learning_rate": 0.1}, {"learning_rate": 0}], r"learning_rate must be .* got 0"),
    ],
)
def test_every_value_of_every_axis_is_checked(space, message):
    plan = make_plan(sweep(space=space, arms=["random"]))
    with pytest.raises(SweepError, match=message):
        check_trials(plan)


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ({"quniform": [0, 1, 0]}, r"space\.a\.quniform: \[0, 1, 0\] does not fit: division"),
        ({"randint": [5, 5]}, r"space\.a"),
        ({"choice": []}, r"space\.a lists no value"),
        ([], r"space\.a lists no value"),
        ({"uniform": 3}, r"space\.a\.uniform must be a list, got 3"),
        ({"lguniform": [1, 2]}, "did you mean loguniform"),
        ({True: [1]}, "must name one domain"),
    ],
)
def test_a_domain_that_cannot_be_drawn_from_is_refused(domain, message):
    with pytest.raises(ValueError, match=message):
        resolve_space({"a": domain}).examples()


def test_keys_that_lie_in_each_other_are_refused():
    with pytest.raises(ValueError, match=r"space\.a\.b lies inside another key"):
        resolve_space({"a": [1, 2], "a.b": [3]})


def test_a_space_that_raises_or_exits_is_an_error_and_no_end(tmp_path, monkeypatch):
    (tmp_path / "odd_spaces.py").write_text(
        "def exits():\n    raise SystemExit(0)\ndef breaks():\n    return {}['x']\n"
        "def gives_nothing():\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, message in (("exits", "raised SystemExit"), ("breaks", "raised KeyError"),
                          ("gives_nothing", "must be a mapping")):  # fmt: skip
        with pytest.raises(SweepError, match=message):
            make_plan(sweep(space=f"odd_spaces:{name}"))


def test_examples_hold_every_listed_value_once_and_a_value_that_is_a_mapping_whole():
    settings = [{"hidden": 1}, {"depth": 2}]
    space = resolve_space({"a": [1, 2, 3], "b.c": settings, "d": {"uniform": [0, 1]}})
    examples = space.examples()
    assert len(examples) == 4
    assert {example["a"] for example in examples} == {1, 2, 3}
    assert [example["b"]["c"] for example in examples] == [settings[0]] * 3 + [settings[1]]
    assert all(0 <= example["d"] <= 1 for example in examples)


def test_a_space_that_never_comes_back_or_prints(tmp_path, monkeypatch, capsys):
    (tmp_path / "slow_spaces.py").write_text(
        "import time\ndef sleeps():\n    while True:\n        try: time.sleep(60)\n"
        "        except Exception: pass\n"
        "def prints():\n    print('hello')\n    return {'learning_rate': [0.1, 0.2]}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("tune_select.users_code.PATIENCE_S", 0.2)
    with pytest.raises(SweepError, match=r"space is 'slow_spaces:sleeps', which did not come back"):
        make_plan(sweep(space="slow_spaces:sleeps"))
    make_plan(sweep(space="slow_spaces:prints"))
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")  # a dry run's stdout is YAML


def test_a_module_that_fails_when_a_package_reaches_for_it(tmp_path, monkeypatch):
    (tmp_path / "lazy_package.py").write_text(
        "def __getattr__(name):\n    if name == 'Mine':\n        raise ImportError('libgpu.so')\n"
        "    raise AttributeError(name)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SweepError, match=r"importing 'Mine' raised ImportError: libgpu\.so"):
        make_plan(sweep(trainable="lazy_package.Mine"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"space": {axis: list(range(1, 2000)) for axis in ("a", "b", "c")}},
         r"this sweep has 7,988,005,999 trials \(7,988,005,999 configurations in space"),
        ({"tune": {"searcher": "random", "num_samples": 10**9}}, r"2,000,000,000 trials"),
        ({"tune": {"seeds": list(range(60_000))}}, "60,000 training seeds"),
        ({"arms": ["cached", "full"], "tune": {"seed_by": {"learning_rate": list(range(400)),
          "momentum": list(range(400))}}}, r"tune\.seed_by asks for 160,000 seed trials"),
        ({"space": [{"resolved_arm": 1}, {"resolved_arm": 2}]}, r"space sets"),
        ({"space": {"resolved_arm": [1, 2]}}, r"space sets \['resolved_arm'\], which are set for"),
        ({"tune": {"scheduler": "pbt", "scheduler_options": {"hyperparam_mutations": [1]}}},
         r"hyperparam_mutations must be a mapping, got \[1\]"),
        ({"tune": {"scheduler": "asha", "scheduler_options": {"grace_period": "x"}}},
         r"tune\.scheduler_options for asha: .*'grace_period': 'x'.* raised"),
        ({"tune": {"scheduler": "os.path.join"}}, r"tune\.scheduler"),
    ],
)  # fmt: skip
def test_a_sweep_that_cannot_be_counted_or_scheduled_is_refused(keys, message):
    with pytest.raises(SweepError, match=message):
        make_plan(sweep(**keys))


def test_remote_storage_that_cannot_be_reached_is_refused_by_its_name(monkeypatch):
    check_storage(sweep(storage_path="memory://here"))
    with pytest.raises(SweepError, match=r"storage_path is nosuch://x, which cannot be reached"):
        check_storage(sweep(storage_path="nosuch://x"))

    def refused(location):
        raise OSError("AWS Error ACCESS_DENIED during HeadBucket operation")

    monkeypatch.setattr("tune_select.sweep.preflight.storage.Folder.at", refused)
    with pytest.raises(SweepError, match=r"s3://x, which .* \(AWS Error .*credentials"):
        check_storage(sweep(storage_path="s3://x"))
