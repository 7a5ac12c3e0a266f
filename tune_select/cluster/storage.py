"""Whether all nodes of a cluster see the storage that a sweep writes to."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow.fs

_TIMEOUT_S = 120.0

# Takes the id of a node, the storage path and the name of a marker; says whether it is there.
Look = Callable[[str, str, str], bool]


def check_shared_storage(storage_path: str) -> None:
    """Check that every node of the connected Ray sees what this process writes.

    Without it, a sweep on several nodes with a path that only one of them has fails at its first
    checkpoint, or worse, leaves histories and checkpoints scattered.

    Args:
        storage_path: The sweep's ``storage_path``: a folder or a URI.

    Raises:
        ValueError: Some node does not see it; the message names the nodes and the remedy.
    """
    import ray

    list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    here = ray.get_runtime_context().get_node_id()
    others = {
        node["NodeID"]: node["NodeManagerAddress"]
        for node in list_nodes()
        if node["Alive"] and node["NodeID"] != here
    }
    blind = nodes_without(storage_path, others, _look_from)
    if blind:
        addresses = ", ".join(others[node] for node in blind)
        raise ValueError(
            f"storage_path {storage_path} is not shared: what this node writes there is not seen "
            f"by {addresses}. Give a folder that all nodes mount (NFS, a ReadWriteMany volume) or "
            "an object store (s3://..., gs://...)"
        )


def nodes_without(storage_path: str, nodes: Iterable[str], look: Look) -> list[str]:
    """Those of ``nodes`` that do not see a marker written here; the marker is removed.

    Args:
        storage_path: A folder (made when missing) or a URI.
        nodes: Ids of nodes.
        look: Looks for the marker from a node.
    """
    nodes = list(nodes)
    if not nodes:
        return []
    filesystem, path = _resolved(storage_path)
    name = f".tune-select-{uuid.uuid4().hex}"
    filesystem.create_dir(path, recursive=True)
    with filesystem.open_output_stream(f"{path}/{name}") as stream:
        stream.write(b"")
    try:
        return [node for node in nodes if not look(node, storage_path, name)]
    finally:
        filesystem.delete_file(f"{path}/{name}")


def is_visible(storage_path: str, name: str) -> bool:
    """Whether this process sees a file of that name in the storage."""
    filesystem, path = _resolved(storage_path)
    found = filesystem.get_file_info(f"{path}/{name}")
    return bool(found.type == pyarrow.fs.FileType.File)


def _resolved(storage_path: str) -> tuple[Any, str]:
    if "://" in storage_path:
        filesystem, path = pyarrow.fs.FileSystem.from_uri(storage_path)
        return filesystem, path.rstrip("/")
    return pyarrow.fs.LocalFileSystem(), storage_path.rstrip("/")


def _look_from(node: str, storage_path: str, name: str) -> bool:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node, soft=False)
    look = ray.remote(is_visible).options(num_cpus=0, scheduling_strategy=there)
    return bool(ray.get(look.remote(storage_path, name), timeout=_TIMEOUT_S))
