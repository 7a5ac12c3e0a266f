from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray

from tests.tune_select.histories import identity, interval
from tests.tune_select.ray_session import ray_session
from tune_select.history import (
    HistoryConflictError,
    HistoryCorruptError,
    HistoryEndedError,
    HistoryMismatchError,
    HistoryUnavailableError,
    SubsetHistory,
    open_history,
)
from tune_select.history.store import NAMESPACE, HistoryStore, StoredHistory

# Ray leaves sockets and log files open when it is shut down inside a process that lives on.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def store() -> Iterator[HistoryStore]:
    with ray_session(), HistoryStore.start("store") as running:
        yield running


def store_pid(name: str) -> int:
    return ray.get(ray.get_actor(name, namespace=NAMESPACE).ping.remote())


def kill_store(name: str) -> None:
    while True:
        try:
            return os.kill(store_pid(name), signal.SIGKILL)
        except (ValueError, ray.exceptions.RayActorError):  # killed before, and not yet back
            time.sleep(0.1)


def test_a_history_in_flight_is_the_one_on_disk(store: HistoryStore, tmp_path: Path) -> None:
    history = open_history(store.location(str(tmp_path)))
    assert history.identity() is None
    assert history.read(0, timeout_s=0) is None
    assert history.begin(identity()) == 0
    assert [history.publish(interval(i)) for i in range(3)] == [True] * 3
    assert history.publish(interval(1)) is False
    assert history.begin(identity()) == 3
    history.finish()
    assert history.identity() == identity()
    on_disk = SubsetHistory.load(tmp_path)
    assert on_disk.complete
    for number in range(3):
        read = history.read(number, timeout_s=0)
        assert read is not None
        assert read.same_content(interval(number))
        assert read.same_content(on_disk.intervals[number])
    with pytest.raises(HistoryEndedError, match="never have interval 3"):
        history.read(3, timeout_s=30)


def test_rungs_of_a_history_in_flight(store: HistoryStore, tmp_path: Path) -> None:
    of = identity(rungs=(0.01, 0.2))
    history = store.access(str(tmp_path))
    assert history.read(0, 0, 0.01) is None
    history.begin(of)
    history.publish(interval(0, of))
    for fraction, size in [(0.01, 10), (0.05, 50), (None, 50), (0.2, 200)]:
        read = history.read(0, 0, fraction)
        assert read is not None
        assert read.same_content(interval(0, of).alone(of.rung_of(fraction)))
        assert len(read) == size
        assert read.indices.base is not None  # a view of shared memory
    with pytest.raises(HistoryMismatchError, match="no subsets at fraction 0.5, only at 0.01"):
        history.read(0, 30, 0.5)
    kill_store("store")  # refills itself from the folder, rung by rung
    again = store.access(str(tmp_path)).read(0, 60, 0.2)
    assert again is not None
    assert again.same_content(interval(0, of).rungs[0.2])


def test_errors_arrive_as_they_were_raised(store: HistoryStore, tmp_path: Path) -> None:
    history = store.access(str(tmp_path))
    history.begin(identity())
    history.publish(interval(0))
    with pytest.raises(HistoryConflictError, match="other content"):
        history.publish(interval(0, seed=1))
    with pytest.raises(HistoryConflictError, match="already holds another seed's history"):
        history.begin(identity(algorithm="craig"))
    with pytest.raises(ValueError, match="training set toy has 1000"):
        history.publish(interval(1, indices=np.arange(960, 1010)))


def test_histories_are_kept_apart(store: HistoryStore, tmp_path: Path) -> None:
    first, second = store.access(str(tmp_path / "a")), store.access(str(tmp_path / "b"))
    first.begin(identity())
    second.begin(identity(algorithm="craig"))
    first.publish(interval(0))
    assert second.read(0, timeout_s=0) is None
    second.publish(interval(0, seed=5))
    read = second.read(0, timeout_s=0)
    assert read is not None
    assert read.same_content(interval(0, seed=5))


def test_a_waiting_reader_wakes_when_its_interval_is_published(
    store: HistoryStore, tmp_path: Path
) -> None:
    history = store.access(str(tmp_path))
    history.begin(identity())
    published_at: list[float] = []

    def publish() -> None:
        store.access(str(tmp_path)).publish(interval(0))
        published_at.append(time.monotonic())

    thread = threading.Timer(0.3, publish)
    thread.start()
    read = history.read(0, timeout_s=30)
    woken_at = time.monotonic()
    thread.join()
    assert read is not None
    assert woken_at - published_at[0] < 1.0


def test_a_wait_is_bounded(store: HistoryStore, tmp_path: Path) -> None:
    history = store.access(str(tmp_path))
    history.begin(identity())
    started = time.monotonic()
    assert history.read(0, timeout_s=0.2) is None
    assert 0.2 <= time.monotonic() - started < 3


def test_a_folder_that_another_process_writes_is_followed(
    store: HistoryStore, tmp_path: Path
) -> None:
    folder = open_history(str(tmp_path))
    history = store.access(str(tmp_path))
    assert history.read(0, timeout_s=0) is None
    folder.begin(identity())
    folder.publish(interval(0))
    read = history.read(0, timeout_s=10)
    assert read is not None
    assert read.same_content(interval(0))


def test_what_is_read_is_shared_memory_and_read_only(store: HistoryStore, tmp_path: Path) -> None:
    history = store.access(str(tmp_path))
    history.begin(identity())
    history.publish(interval(0))
    read, again = history.read(0, timeout_s=0), history.read(0, timeout_s=0)
    assert read is not None
    assert again is not None
    assert np.shares_memory(read.indices, again.indices)
    assert not read.indices.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        read.weights[0] = 1


@ray.remote(num_cpus=0)
class Trial:
    """Reads through a new access each time, as trials that share a process do."""

    def read(self, place: tuple[str, str], number: int) -> np.ndarray:
        history = StoredHistory(*place)
        assert history.identity() == identity()
        found = history.read(number, timeout_s=60)
        assert found is not None
        assert not found.indices.flags.owndata
        return found.indices


def test_trials_that_share_a_process_ask_once_and_survive_the_store(
    store: HistoryStore, tmp_path: Path
) -> None:
    history = store.access(str(tmp_path))
    history.begin(identity())
    history.publish(interval(0))
    trial, place = Trial.remote(), (str(tmp_path), store.name)
    first = ray.get(trial.read.remote(place, 0))
    again = ray.get(trial.read.remote(place, 0))
    kill_store(store.name)
    after = ray.get(trial.read.remote(place, 0))
    for read in (first, again, after):
        assert np.array_equal(read, interval(0).indices)


def test_nothing_is_lost_when_the_store_is_killed(store: HistoryStore, tmp_path: Path) -> None:
    history = store.access(str(tmp_path))
    history.begin(identity())
    history.publish(interval(0))
    assert history.read(0, timeout_s=0) is not None
    kill_store(store.name)
    read = history.read(0, timeout_s=0)
    assert read is not None
    assert read.same_content(interval(0))
    kill_store(store.name)
    assert history.publish(interval(0)) is False
    assert history.publish(interval(1)) is True
    assert len(SubsetHistory.load(tmp_path).intervals) == 2


def test_a_store_killed_while_readers_wait_serves_them_still(
    store: HistoryStore, tmp_path: Path
) -> None:
    history = store.access(str(tmp_path))
    history.begin(identity())
    found = []
    reader = threading.Thread(
        target=lambda: found.append(store.access(str(tmp_path)).read(0, timeout_s=60))
    )
    reader.start()
    time.sleep(0.3)
    kill_store(store.name)
    history.publish(interval(0))
    reader.join(timeout=60)
    assert found[0] is not None
    assert found[0].same_content(interval(0))


def test_a_published_interval_outlives_its_publisher(store: HistoryStore, tmp_path: Path) -> None:
    @ray.remote(num_cpus=0)
    class Seed:
        def publish(self, history: StoredHistory) -> int:
            history.begin(identity())
            history.publish(interval(0))
            return os.getpid()

    seed = Seed.remote()
    os.kill(ray.get(seed.publish.remote(store.access(str(tmp_path)))), signal.SIGKILL)
    time.sleep(0.5)
    read = store.access(str(tmp_path)).read(0, timeout_s=0)
    assert read is not None
    assert read.same_content(interval(0))


def test_storage_that_fails_for_a_while_only_delays(store: HistoryStore, tmp_path: Path) -> None:
    """A file stands where the folder should be, which fails for root too, and is then removed."""
    place = tmp_path / "h"
    place.write_text("in the way")
    threading.Timer(1.0, place.unlink).start()
    history = store.access(str(place))
    assert history.begin(identity()) == 0
    assert history.publish(interval(0)) is True


@pytest.mark.slow
def test_a_full_disk_only_delays_once_there_is_room_again(
    store: HistoryStore, tmp_path: Path
) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        history = store.access(str(tmp_path / "h"))
        history.begin(identity())
        history.publish(interval(0))
        filler = tmp_path / "filler"
        with contextlib.suppress(OSError):
            filler.write_bytes(bytes(256 * 1024))
        impatient = StoredHistory(history.path, store.name, patience_s=0.3)
        with pytest.raises(OSError, match="No space left"):
            impatient.publish(interval(1))
        assert len(SubsetHistory.load(tmp_path / "h").intervals) == 1
        threading.Timer(1.0, filler.unlink).start()
        assert history.publish(interval(1)) is True
        assert len(SubsetHistory.load(tmp_path / "h").intervals) == 2
        assert not list((tmp_path / "h").glob(".*"))
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_storage_that_keeps_failing_is_an_error(store: HistoryStore, tmp_path: Path) -> None:
    (tmp_path / "h").write_text("in the way")
    history = StoredHistory(str(tmp_path / "h"), store.name, patience_s=0.5)
    with pytest.raises(OSError, match="h"):
        history.begin(identity())


def test_a_damaged_file_is_an_error_for_its_reader(store: HistoryStore, tmp_path: Path) -> None:
    SubsetHistory(identity(), [interval(i) for i in range(3)], True).save(tmp_path)
    file = tmp_path / "interval-000001.parquet"
    file.write_bytes(file.read_bytes()[:-3])
    history = store.access(str(tmp_path))
    assert history.read(0, timeout_s=0) is not None
    with pytest.raises(HistoryCorruptError, match=r"interval-000001\.parquet"):
        history.read(1, timeout_s=0)


def test_a_store_is_found_again_and_ends_when_told(store: HistoryStore, tmp_path: Path) -> None:
    first = HistoryStore.start("again")
    pid = store_pid("again")
    assert store_pid(HistoryStore.start("again").name) == pid
    first.stop()
    first.stop()
    history = StoredHistory(str(tmp_path), "again", patience_s=0.3)
    with pytest.raises(HistoryUnavailableError, match="'again' did not answer"):
        history.identity()


def test_access_pickles_without_its_handle(store: HistoryStore, tmp_path: Path) -> None:
    history = store.access(str(tmp_path))
    history.begin(identity())
    packed = pickle.dumps(history)
    assert len(packed) < 300
    assert pickle.loads(packed).identity() == identity()


def test_a_store_cannot_be_started_inside_a_trial(store: HistoryStore) -> None:
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    @ray.remote(num_cpus=1)
    def trial() -> str:
        try:
            HistoryStore.start("captured")
        except RuntimeError as error:
            return str(error)
        return "started"

    group = placement_group([{"CPU": 1}])
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_capture_child_tasks=True)
    try:
        answer = ray.get(trial.options(scheduling_strategy=strategy).remote())
    finally:
        remove_placement_group(group)
    assert "call it on the driver" in answer


def test_a_store_takes_no_processor_from_the_trials(store: HistoryStore) -> None:
    actor = ray.get_actor(store.name, namespace=NAMESPACE)
    ray.get(actor.ping.remote())  # it runs, and everything is still to be had
    whole = ray.cluster_resources()["CPU"]  # type: ignore[no-untyped-call]
    deadline = time.monotonic() + 30  # what an earlier test gave back takes Ray a moment
    while ray.available_resources().get("CPU") != whole:  # type: ignore[no-untyped-call]
        assert time.monotonic() < deadline
        time.sleep(0.1)
