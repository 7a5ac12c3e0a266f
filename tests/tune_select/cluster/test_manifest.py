"""The RayJob manifest: what KubeRay and Kubernetes would refuse, as far as that is known here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import tune_select.cluster
from tune_select.cli import app

MANIFEST = Path(tune_select.cluster.__file__).parent / "rayjob.yaml"
README = MANIFEST.with_name("README.md")

# Fields of KubeRay's API reference for ray.io/v1 (release 1.5): those that we use, and their types.
JOB = {
    "entrypoint": str,
    "shutdownAfterJobFinishes": bool,
    "backoffLimit": int,
    "runtimeEnvYAML": str,
    "rayClusterSpec": dict,
}
CLUSTER = {"authOptions": dict, "headGroupSpec": dict, "workerGroupSpecs": list}
GROUP = {
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
    "rayStartParams": dict,
    "template": dict,
}
QUANTITY = re.compile(r"^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    return dict(yaml.safe_load(MANIFEST.read_text()))


def groups(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    yield cluster["headGroupSpec"]
    yield from cluster["workerGroupSpecs"]


def check_fields(found: dict[str, Any], known: dict[str, type]) -> None:
    assert set(found) <= set(known)
    for key, value in found.items():
        assert type(value) is known[key], key


def test_it_is_a_rayjob_with_known_fields(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job) == {"apiVersion", "kind", "metadata", "spec"}
    # Part of the names of pods and services, which are DNS labels.
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,45}[a-z0-9])?", job["metadata"]["name"])
    check_fields(job["spec"], JOB)
    check_fields(job["spec"]["rayClusterSpec"], CLUSTER)
    for group in groups(job):
        check_fields(group, GROUP)
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_ports_are_protected_by_a_token(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_pods_mount_what_exists_and_ask_for_quantities(job: dict[str, Any]) -> None:
    for group in groups(job):
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert len(volumes) == len(pod["volumes"])
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            for amounts in container["resources"].values():
                assert all(QUANTITY.fullmatch(str(amount)) for amount in amounts.values())


def test_head_and_workers_share_the_results(job: dict[str, Any]) -> None:
    claims = []
    for group in groups(job):
        pod = group["template"]["spec"]
        (mount,) = (
            mount
            for container in pod["containers"]
            for mount in container["volumeMounts"]
            if mount["mountPath"] == "/results"
        )
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == mount["name"])
        claims.append(volume["persistentVolumeClaim"]["claimName"])
    assert len(claims) == 2
    assert len(set(claims)) == 1


def test_names_agree_with_the_guide(job: dict[str, Any]) -> None:
    """What the guide tells to create is what the manifest refers to."""
    guide = README.read_text()
    (head, _) = groups(job)
    pod = head["template"]["spec"]
    (sweeps,) = (v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v)
    (secret,) = (
        variable["valueFrom"]["secretKeyRef"]
        for container in pod["containers"]
        for variable in container["env"]
    )
    assert f"create configmap {sweeps} --from-file=sweep.yaml" in guide
    assert f"secret generic {secret['name']} --from-literal={secret['key']}=" in guide
    assert "claim `tune-select-results`" in guide


def test_the_head_runs_no_trials_and_a_second_attempt_is_no_second_sweep(
    job: dict[str, Any],
) -> None:
    assert job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert job["spec"]["backoffLimit"] == 0


def test_the_command_line_takes_the_entry_point(job: dict[str, Any], tmp_path: Path) -> None:
    program, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "tune-select"
    sweep = tmp_path / "sweep.yaml"
    train = {"model": "lenet", "learning_rate": 0.1, "max_epochs": 40}  # quickly measured
    space = {"learning_rate": [0.1]}
    sweep.write_text(yaml.safe_dump({"name": "s", "space": space, "train": train}))
    known = [str(sweep) if argument == "/sweeps/sweep.yaml" else argument for argument in arguments]
    shown = CliRunner().invoke(app, [*known, "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert yaml.safe_load(shown.output)["storage_path"] == "/results"


def test_the_runtime_environment_is_one_that_ray_takes(job: dict[str, Any]) -> None:
    from ray.runtime_env import RuntimeEnv

    RuntimeEnv(**yaml.safe_load(job["spec"]["runtimeEnvYAML"]))
