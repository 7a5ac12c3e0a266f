"""What a trial sits out while its store's actor or the storage is in trouble; no Ray."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from tests.tune_select.histories import identity, interval
from tune_select.history import HistoryUnavailableError
from tune_select.history import store as module
from tune_select.history.store import HistoryStore, StoredHistory


class Actor:
    """Answers each method's calls in turn; an exception is raised."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers, self.calls = answers, []  # type: ignore[var-annotated]

    def __getattr__(self, method: str) -> Any:
        def remote(*arguments: Any) -> Callable[[], Any]:
            self.calls.append((method, *arguments))
            answer = self.answers[method].pop(0)

            def get() -> Any:
                if isinstance(answer, Exception):
                    raise answer
                return answer

            return get

        return SimpleNamespace(remote=remote)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that passes in sleeps alone."""
    clock = SimpleNamespace(now=0.0, slept=[])

    def sleep(seconds: float) -> None:
        clock.slept.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(module.time, "sleep", sleep)
    monkeypatch.setattr(
        module.ray, "get", lambda found, timeout: found() if callable(found) else found
    )
    monkeypatch.setattr(module.ray, "is_initialized", lambda: True)
    return clock


def history(
    actor: Actor, monkeypatch: pytest.MonkeyPatch, patience_s: float = 8.0
) -> StoredHistory:
    monkeypatch.setattr(module.ray, "get_actor", lambda name, namespace: actor)
    return StoredHistory("/histories/a", "store", patience_s)


def gone() -> Exception:
    return ray.exceptions.RayActorError()


def of_the_task(cause: Exception) -> Exception:
    return ray.exceptions.RayTaskError("publish", "traceback", cause)


def test_answers_pass_through(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = Actor(begin=[3], publish=[True, False], finish=[None], identity=[None, identity()])
    access = history(actor, monkeypatch)
    assert access.begin(identity()) == 3
    assert [access.publish(interval(0)), access.publish(interval(0))] == [True, False]
    assert access.finish() is None
    assert [access.identity(), access.identity()] == [None, identity()]
    assert {call[1] for call in actor.calls} == {"/histories/a"}
    assert clock.slept == []


def test_an_actor_that_is_gone_is_looked_up_again_more_and_more_slowly(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(publish=[gone()] * 5 + [True])
    access, looked_up = history(actor, monkeypatch, 60.0), []

    def find(name: str, namespace: str) -> Actor:
        looked_up.append((name, namespace))
        return actor

    monkeypatch.setattr(module.ray, "get_actor", find)
    assert access.publish(interval(0)) is True
    assert looked_up == [("store", module.NAMESPACE)] * 6
    assert clock.slept == sorted(clock.slept)
    assert clock.slept[0] == module._FIRST_PAUSE_S
    assert clock.slept[1] == 2 * module._FIRST_PAUSE_S
    assert max(clock.slept) <= module._LONGEST_PAUSE_S


def test_patience_ends(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    access = history(Actor(finish=[gone()] * 1000), monkeypatch)
    with pytest.raises(HistoryUnavailableError, match="'store' did not answer for 8 s"):
        access.finish()
    assert 8.0 < clock.now <= 8.0 + module._LONGEST_PAUSE_S


def test_a_store_that_was_never_started_is_said_to_be_so(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(name: str, namespace: str) -> Any:
        raise ValueError

    access = history(Actor(), monkeypatch)
    monkeypatch.setattr(module.ray, "get_actor", none)
    with pytest.raises(HistoryUnavailableError, match=r"call HistoryStore.start\(\)"):
        access.finish()
    monkeypatch.setattr(module.ray, "is_initialized", lambda: False)
    clock.slept.clear()
    with pytest.raises(HistoryUnavailableError, match="Ray is not running in this process"):
        access.finish()
    assert clock.slept == []  # that does not pass


def test_storage_that_fails_is_tried_again_and_other_faults_are_not(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = of_the_task(OSError("disk full"))
    assert history(Actor(publish=[failing, failing, True]), monkeypatch).publish(interval(0))
    assert len(clock.slept) == 2
    with pytest.raises(OSError, match="disk full"):
        history(Actor(publish=[failing] * 1000), monkeypatch).publish(interval(0))
    clock.slept.clear()
    with pytest.raises(ValueError, match="other content"):
        history(Actor(publish=[of_the_task(ValueError("other content"))]), monkeypatch).publish(
            interval(0)
        )
    assert clock.slept == []


def test_a_reader_waits_on_top_of_its_patience_and_keeps_what_it_has_read(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered = module._Remembered()
    monkeypatch.setattr(StoredHistory, "_remembered", lambda self: remembered)
    actor = Actor(read=[None, [lambda: interval(0)]])
    access = history(actor, monkeypatch)
    assert access.read(0, 5.0) is None
    for _ in range(2):
        found = access.read(0, 5.0, 0.05)
        assert found is not None
        assert found.same_content(interval(0))
    assert actor.calls == [("read", "/histories/a", 0, 5.0, f) for f in (None, 0.05)]
    lost = history(Actor(read=[gone()] * 1000), monkeypatch)
    with pytest.raises(HistoryUnavailableError):
        lost.read(1, 30.0)
    assert 38.0 < clock.now <= 38.0 + module._LONGEST_PAUSE_S


def test_a_subset_whose_owner_is_gone_is_asked_for_again(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> Any:
        raise ray.exceptions.OwnerDiedError("00", None, "lost")  # type: ignore[arg-type]

    actor = Actor(read=[[lost], [lambda: interval(0)]])
    found = history(actor, monkeypatch).read(0, 5.0)
    assert found is not None
    assert [call[2] for call in actor.calls] == [0, 0]


def test_what_is_pickled_holds_no_handle(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    access = history(Actor(finish=[None]), monkeypatch, 7.0)
    access.finish()
    again = pickle.loads(pickle.dumps(access))
    assert (again.path, again.store, again.patience_s) == ("/histories/a", "store", 7.0)
    assert again._actor is None


def test_a_store_knows_the_way_to_its_histories() -> None:
    store = HistoryStore("mine")
    assert store.location("/a") == {"path": "/a", "store": "mine"}
    access = store.access("/a")
    assert (access.path, access.store) == ("/a", "mine")


def test_a_store_outlives_its_driver_and_takes_no_cpu(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, Any] = {}
    actor = Actor(ping=[7])

    def options(**given: Any) -> Any:
        made.update(given)
        return SimpleNamespace(remote=lambda: actor)

    monkeypatch.setattr(module.ray, "remote", lambda cls: SimpleNamespace(options=options))
    monkeypatch.setattr(module.ray.util, "get_current_placement_group", lambda: None)
    nodes = [
        {"Alive": True, "NodeID": "a" * 56, "Resources": {"CPU": 4.0}},
        {"Alive": False, "NodeID": "b" * 56, "Resources": {"node:__internal_head__": 1.0}},
        {"Alive": True, "NodeID": "c" * 56, "Resources": {"node:__internal_head__": 1.0}},
    ]
    monkeypatch.setattr(module.ray, "nodes", lambda: nodes)
    assert HistoryStore.start("mine").name == "mine"
    assert actor.calls == [("ping",)], "it is waited for"
    near = made.pop("scheduling_strategy")
    assert (near.node_id, near.soft) == ("c" * 56, True)
    assert made.pop("max_concurrency") > 1000, "each reader that waits is a call"
    assert made == {
        "name": "mine", "namespace": "tune_select", "get_if_exists": True,
        "lifetime": "detached", "num_cpus": 0, "max_restarts": -1, "max_task_retries": 0,
    }  # fmt: skip
    actor.answers["ping"] = [gone()]
    monkeypatch.setattr(module.ray, "nodes", list)
    with pytest.raises(HistoryUnavailableError, match="'mine' did not start within 120 s"):
        HistoryStore.start("mine")
    assert made["scheduling_strategy"] == "DEFAULT"
    monkeypatch.setattr(module.ray.util, "get_current_placement_group", lambda: "a trial's")
    with pytest.raises(RuntimeError, match="call it on the driver"):
        HistoryStore.start("mine")


def test_a_store_is_stopped_for_good_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[Any] = []
    monkeypatch.setattr(module.ray, "get_actor", lambda name, namespace: (name, namespace))
    monkeypatch.setattr(
        module.ray, "kill", lambda actor, no_restart: killed.append((actor, no_restart))
    )
    with HistoryStore("mine") as store:
        assert killed == []
        assert store.name == "mine"
    assert killed == [(("mine", "tune_select"), True)]

    def none(name: str, namespace: str) -> Any:
        raise ValueError

    monkeypatch.setattr(module.ray, "get_actor", none)
    store.stop()
    assert len(killed) == 1


def test_what_a_process_has_learnt_is_kept_in_an_actor_alone(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[str | None] = ["an actor"]
    monkeypatch.setattr(module, "_of_this_process", {})
    context = SimpleNamespace(get_actor_id=lambda: inside[0])
    monkeypatch.setattr(module.ray, "get_runtime_context", lambda: context)
    first = StoredHistory("/histories/a", "store")._remembered()
    assert StoredHistory("/histories/a", "store")._remembered() is first
    assert StoredHistory("/histories/b", "store")._remembered() is not first
    assert StoredHistory("/histories/a", "another")._remembered() is not first
    inside[0] = None
    assert StoredHistory("/histories/a", "store")._remembered() is not first
    inside[0] = "an actor"
    monkeypatch.setattr(module.ray, "is_initialized", lambda: False)
    assert StoredHistory("/histories/a", "store")._remembered() is not first
