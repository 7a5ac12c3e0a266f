"""Whether a trial's resources are there at all: what is never there is waited for without end."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray._common.utils import get_system_memory
from ray._private.accelerators import get_accelerator_manager_for_resource
from ray._private.utils import get_num_cpus

from tune_select.cluster import is_remote
from tune_select.messages import SettingsError, checked
from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.sections import Amounts, ClusterConfig, Section
from tune_select.wording import did_you_mean

KNOWN = ("cpu", "gpu", "memory", "object_store_memory")
_RAYS_NAMES = {"cpu": "CPU", "gpu": "GPU"}


def check_resources(config: SweepConfig) -> None:
    """Refuse resources that no trial could ever get.

    On a Ray of our own, that is what this machine (or ``cluster.num_cpus`` and ``num_gpus``) has.
    A cluster may have resources of its own names and grow; of it only misspelt names are refused.
    Where Ray is running, it is asked; before that, the machine is.

    Args:
        config: The config as written.

    Raises:
        SweepError: The field, what it asks for, what there is and the remedy.
    """
    remote = is_remote(config.cluster.address)
    there = None if remote else _machine(config.cluster)
    asked = {"resources": config.resources} | {
        f"arms.{arm.name}.resources": arm.resources for arm in config.named_arms() if arm.resources
    }
    for field, amounts in asked.items():
        _check_amounts(field, amounts, there)


class _Resources(Section):
    resources: Amounts


def amounts_of(resources: Mapping[str, float]) -> dict[str, float]:
    """A trial's resources by Tune's names for them, if trials could ever get them.

    A Ray that runs already may have resources of its own names, and grow.

    Args:
        resources: Amounts by name.

    Raises:
        SweepError: As ``check_resources``; or an amount is no number, or negative.
    """
    try:
        amounts = checked(_Resources, {"resources": resources}).resources
    except SettingsError as error:
        raise SweepError(str(error)) from None
    joined = ray.is_initialized() or is_remote(None)
    _check_amounts("resources", amounts, None if joined else _machine(ClusterConfig()))
    return amounts


def _machine(cluster: ClusterConfig) -> dict[str, float]:
    if ray.is_initialized():  # by the caller; a trial has to fit on one node of it
        list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
        nodes = [node["Resources"] for node in list_nodes() if node["Alive"]]
        return {
            name: max(
                (float(node.get(_RAYS_NAMES.get(name, name), 0.0)) for node in nodes), default=0.0
            )
            for name in KNOWN
        }
    cpus, gpus = cluster.num_cpus, cluster.num_gpus
    if gpus is None:
        manager = get_accelerator_manager_for_resource("GPU")
        gpus = 0 if manager is None else manager.get_current_node_num_accelerators()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is not None:
            gpus = min(gpus, len([device for device in visible.split(",") if device.strip()]))
    # Of its memory Ray gives trials what is free when it starts, which is looked at again then.
    memory = float(get_system_memory())
    return {
        "cpu": float(get_num_cpus() if cpus is None else cpus),
        "gpu": float(gpus),
        "memory": memory,
        "object_store_memory": memory,
    }


def _check_amounts(
    field: str, amounts: Mapping[str, float], there: Mapping[str, float] | None
) -> None:
    if not any(amounts.values()):
        raise SweepError(f"{field} asks for nothing ({dict(amounts)}); give cpu: 1, say")
    for name, amount in amounts.items():
        plain_name = name.lower()
        if plain_name not in KNOWN:
            meant = plain_name.removeprefix("num_").removesuffix("s")
            if there is not None or meant in KNOWN:
                near = did_you_mean(meant, KNOWN)
                raise SweepError(f"{field}.{name}={amount:g} is unknown to Ray here; {near}")
            continue
        if plain_name == "gpu" and amount > 1 and not float(amount).is_integer():
            raise SweepError(
                f"{field}.{name} must be a share of one GPU or a whole number, got {amount:g}"
            )
        if there is not None and amount > there.get(plain_name, amount):
            raise SweepError(
                f"{field}.{name}={amount:g} is more than this machine's Ray has, "
                f"{there[plain_name]:g}: no trial would ever start; ask for less, or name a "
                "cluster (cluster.address)"
            )
