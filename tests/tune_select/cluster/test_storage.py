from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tune_select.sweeps import RAY_WARNINGS
from tune_select.cluster import check_shared_storage, nodes_without
from tune_select.cluster.storage import is_visible

pytestmark = [*RAY_WARNINGS]


def test_nodes_that_do_not_see_the_marker_are_found(tmp_path: Path) -> None:
    """Node b has a folder of its own under the same path."""
    (tmp_path / "of_b").mkdir()

    def look(node: str, storage_path: str, name: str) -> bool:
        path = str(tmp_path / "of_b") if node == "b" else storage_path
        return is_visible(path, name)

    storage = tmp_path / "results"
    assert nodes_without(str(storage), ["a", "b", "c"], look) == ["b"]
    assert nodes_without(f"file://{storage}", ["a", "c"], look) == []
    assert list(storage.iterdir()) == [], "no marker is left"


def test_a_single_node_needs_no_check(tmp_path: Path) -> None:
    assert nodes_without(str(tmp_path / "results"), [], lambda *_: False) == []
    assert not (tmp_path / "results").exists()


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[None]:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_two_real_nodes(two_nodes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_shared_storage(str(tmp_path / "results"))
    monkeypatch.setattr("tune_select.cluster.storage._look_from", lambda *_: False)
    with pytest.raises(ValueError, match=r"is not shared: .* not seen by [\d.]+\. Give a folder"):
        check_shared_storage(str(tmp_path / "results"))
