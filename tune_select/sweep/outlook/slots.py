"""How many trials run beside each other, and how many of them on one machine."""

from __future__ import annotations

import math
import os

from tune_select.sweep.plan import Plan


def planned_slots(plan: Plan) -> int:
    """Trials that fit beside each other on the sweep's own Ray; a cluster's size is not known."""
    cluster, resources = plan.config.cluster, plan.config.resources
    cpus = cluster.num_cpus or os.cpu_count() or 1
    fitting = [cpus / resources["cpu"]] if resources.get("cpu") else [float(cpus)]
    if resources.get("gpu") and cluster.num_gpus:
        fitting.append(cluster.num_gpus / resources["gpu"])
    elif resources.get("gpu"):
        fitting.append(max(1.0, 1 / resources["gpu"]))
    most = plan.config.tune.max_concurrent or math.inf
    return max(1, int(min(*fitting, most)))


def sharing(plan: Plan, slots: int) -> int:
    """How many trials will share this machine with another: its cores, and on a GPU that GPU."""
    resources = plan.config.resources
    cores = int((os.cpu_count() or 1) / max(1.0, resources.get("cpu", 1)))
    here = min(slots, cores)
    if resources.get("gpu"):
        here = min(here, int(1 / resources["gpu"]))
    return max(0, here - 1)
