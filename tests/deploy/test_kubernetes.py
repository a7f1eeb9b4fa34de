"""The Kubernetes manifests are valid, hardened, and scale without ending a job.

``kubernetes_schemas.json`` has the strict schemas of Kubernetes 1.37 (Apache License 2.0) for the kinds that are used, without
descriptions and states, from the package kubernetes-validate 1.37.0.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from service.settings import Settings
from service.states import Status
from tests.deploy.kustomize import Manifest, render
from tests.processes import ROOT

OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"
NAMES = ("small", "gpu", "external-services")
RENDERED = {name: render(OVERLAYS / name) for name in NAMES}
DEFINITIONS = json.loads(Path(__file__).with_name("kubernetes_schemas.json").read_text())["$defs"]
KEDA: dict[str, Any] = json.loads(Path(__file__).with_name("keda_schemas.json").read_text())
PODS = [
    pytest.param(manifest, id=f"{name}:{manifest['metadata']['name']}")
    for name, manifests in RENDERED.items()
    for manifest in manifests
    if manifest["kind"] in ("Deployment", "Job")
]


def schema_of(manifest: Manifest) -> Any:
    if manifest["apiVersion"].startswith("keda.sh/"):
        return KEDA[manifest["kind"]]
    group, _, version = manifest["apiVersion"].rpartition("/")
    name = f"io.k8s.api.{group.split('.')[0] or 'core'}.{version}.{manifest['kind']}"
    return {"$ref": f"#/$defs/{name}", "$defs": DEFINITIONS}


def pod_of(manifest: Manifest) -> Any:
    return manifest["spec"]["template"]["spec"]


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    return {found["metadata"]["name"]: found for found in RENDERED[overlay] if found["kind"] == kind}


@pytest.mark.parametrize("overlay", NAMES)
def test_every_manifest_is_valid(overlay: str) -> None:
    for manifest in RENDERED[overlay]:
        jsonschema_rs.validate(schema_of(manifest), manifest)
        with pytest.raises(jsonschema_rs.ValidationError):  # the schema is strict
            jsonschema_rs.validate(schema_of(manifest), {**manifest, "speck": {}})


@pytest.mark.parametrize("overlay", NAMES)
def test_kubectl_renders_the_same(overlay: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl")
    command = ["kubectl", "kustomize", str(OVERLAYS / overlay)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def by_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
        return {(found["kind"], found["metadata"]["name"]): found for found in manifests}

    assert by_name(list(yaml.safe_load_all(text))) == by_name(RENDERED[overlay])


@pytest.mark.parametrize("manifest", PODS)
def test_pods_are_restricted(manifest: Manifest) -> None:
    pod = pod_of(manifest)
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"]) == (False, True)
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert all("hostPath" not in volume for volume in pod["volumes"])


@pytest.mark.parametrize("manifest", PODS)
def test_settings_exist_and_no_secret_is_written_down(manifest: Manifest) -> None:
    (container,) = pod_of(manifest)["containers"]
    configured = set(of_kind("external-services", "ConfigMap")["espalier"]["data"])
    names = {entry["name"] for entry in container["env"]} | configured
    known = {f"ESPALIER_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in names if name.startswith("ESPALIER_")} <= known
    for entry in container["env"]:
        secret = any(part in entry["name"] for part in ("URL", "KEY"))
        assert ("secretKeyRef" in entry.get("valueFrom", {})) == secret, entry["name"]


@pytest.mark.parametrize("overlay", NAMES)
def test_a_worker_has_time_to_requeue_its_jobs(overlay: str) -> None:
    grace = float(of_kind(overlay, "ConfigMap")["espalier"]["data"]["ESPALIER_TERM_GRACE_SECONDS"])
    workers = [found for name, found in of_kind(overlay, "Deployment").items() if "worker" in name]
    assert workers
    assert all(pod_of(worker)["terminationGracePeriodSeconds"] >= grace + 15 for worker in workers)


def test_gpu_workers_go_to_nodes_with_gpus() -> None:
    for overlay in ("gpu", "external-services"):
        pod = pod_of(of_kind(overlay, "Deployment")["espalier-worker-gpu"])
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
        assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "espalier-worker-gpu" not in of_kind("small", "Deployment")
    assert "espalier-worker-cpu" not in of_kind("gpu", "Deployment")


@pytest.mark.parametrize("overlay", NAMES)
def test_metrics_are_read_from_the_ports_that_are_served(overlay: str) -> None:
    settings = of_kind(overlay, "ConfigMap")["espalier"]["data"]
    for name, deployment in of_kind(overlay, "Deployment").items():
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        (port,) = pod_of(deployment)["containers"][0]["ports"]
        assert annotations["prometheus.io/scrape"] == "true"
        assert annotations["prometheus.io/port"] == str(port["containerPort"])
        if "worker" in name:
            assert (port["name"], str(port["containerPort"])) == ("metrics", settings["ESPALIER_WORKER_METRICS_PORT"])
    policy = of_kind(overlay, "NetworkPolicy")["espalier-worker-metrics"]["spec"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": "metrics"}]
    assert rule["from"], "without a sender named it would be open to all"


def test_no_running_job_is_ended_to_have_fewer_workers() -> None:
    (scaled,) = of_kind("gpu", "ScaledObject").values()
    spec, worker = scaled["spec"], of_kind("gpu", "Deployment")["espalier-worker-gpu"]
    assert spec["scaleTargetRef"]["name"] == "espalier-worker-gpu"
    assert "replicas" not in worker["spec"]
    advanced = spec["advanced"]
    assert advanced["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"
    assert (spec["minReplicaCount"], advanced["scalingModifiers"]["activationTarget"]) == (0, "0")
    counted = {trigger["name"]: trigger["metadata"]["valueLocation"] for trigger in spec["triggers"]}
    assert counted == {name: f'espalier_jobs{{status="{name}"}}' for name in (Status.QUEUED, Status.RUNNING)}
    assert advanced["scalingModifiers"]["formula"] == " + ".join(counted)


def test_an_unknown_field_is_refused_by_the_renderer(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\nnamePrefix: a\n")
    with pytest.raises(ValueError, match="namePrefix"):
        render(tmp_path)
    (tmp_path / "kustomization.yaml").write_text('resources: []\npatches: [{patch: "{kind: Job, metadata: {name: a}}"}]')
    with pytest.raises(ValueError, match="Job a"):
        render(tmp_path)
