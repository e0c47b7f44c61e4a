"""What the kustomizations make: resources that refer to each other, and pods that are allowed little."""

import re
from pathlib import Path
from typing import Any

import pytest
from checkers import KUSTOMIZATIONS, ROOT
from conftest import Server
from hosts import manifests, of_kind, pod

CPU, GPU, EXAMPLE = KUSTOMIZATIONS
every_kustomization = pytest.mark.parametrize(
    "folder", KUSTOMIZATIONS, ids=[str(folder.relative_to(ROOT)) for folder in KUSTOMIZATIONS]
)
# The gauge of requests that wait for an engine, as handler's /metrics has it.
QUEUE_METRIC = "ct2_queue_requests"


def container(folder: Path) -> dict[str, Any]:
    """Return the one container."""
    [only] = pod(folder)["spec"]["containers"]
    return dict(only)


def variables(folder: Path) -> dict[str, Any]:
    """Return the entries of the environment by name."""
    return {entry["name"]: entry for entry in container(folder)["env"]}


def policies(folder: Path) -> list[dict[str, Any]]:
    """Return what the network policies say."""
    return [resource["spec"] for resource in manifests(folder) if resource["kind"] == "NetworkPolicy"]


@every_kustomization
def test_a_pod_is_allowed_nothing(folder: Path) -> None:
    """What Kubernetes calls restricted, and a file system that nobody writes to."""
    spec = pod(folder)["spec"]
    security = container(folder)["securityContext"]

    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    assert of_kind(folder, "ServiceAccount")["automountServiceAccountToken"] is False
    assert of_kind(folder, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_kustomization
def test_everything_is_in_one_namespace_and_finds_the_pods(folder: Path) -> None:
    """A selector that fits no pod is no error anywhere: no traffic, no budget, no policy."""
    labels = pod(folder)["metadata"]["labels"].items()
    deployment = of_kind(folder, "Deployment")["spec"]
    selectors = [
        deployment["selector"]["matchLabels"],
        of_kind(folder, "Service")["spec"]["selector"],
        of_kind(folder, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(policy["podSelector"]["matchLabels"] for policy in policies(folder)),
        *(spread["labelSelector"]["matchLabels"] for spread in pod(folder)["spec"]["topologySpreadConstraints"]),
    ]
    namespace = of_kind(folder, "Namespace")["metadata"]["name"]

    assert all(selector and selector.items() <= labels for selector in selectors)
    assert {resource["metadata"].get("namespace", namespace) for resource in manifests(folder)} == {namespace}
    assert pod(folder)["spec"]["serviceAccountName"] == of_kind(folder, "ServiceAccount")["metadata"]["name"]


@every_kustomization
def test_ports_are_named_once(folder: Path) -> None:
    """Whoever sends or lets through requests goes by the container's name for its port."""
    [port] = container(folder)["ports"]
    [service] = of_kind(folder, "Service")["spec"]["ports"]
    probes = [
        container(folder)[name]["httpGet"]["port"] for name in ("startupProbe", "readinessProbe", "livenessProbe")
    ]
    [ingress] = [rule["ports"] for policy in policies(folder) for rule in policy.get("ingress", [])]

    assert {service["targetPort"], *probes, *(entry["port"] for entry in ingress)} == {port["name"]}


@every_kustomization
def test_a_rollout_waits_for_the_slowest_start(folder: Path) -> None:
    """A model may take all the time of the startup probe, and the rollout is not given up before it has."""
    startup = container(folder)["startupProbe"]
    deployment = of_kind(folder, "Deployment")["spec"]

    assert startup["periodSeconds"] * startup["failureThreshold"] >= 600
    assert deployment["progressDeadlineSeconds"] > startup["periodSeconds"] * startup["failureThreshold"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@every_kustomization
def test_liveness_does_not_ask_whether_models_are_ready(folder: Path) -> None:
    """A pod that drains is not ready; killing it would cut its requests off."""
    assert container(folder)["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container(folder)["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container(folder)["startupProbe"]["httpGet"]["path"] == "/health/ready"


@every_kustomization
def test_keys_come_from_a_secret_that_must_exist(folder: Path) -> None:
    """Optional would mean that a forgotten secret opens the server."""
    reference = variables(folder)["API_KEYS"]["valueFrom"]["secretKeyRef"]

    assert not reference.get("optional", False)
    assert not [resource for resource in manifests(folder) if resource["kind"] == "Secret"]


@every_kustomization
def test_the_config_is_mounted_where_the_server_looks(folder: Path) -> None:
    """The name of the map carries a hash of its text, so that a change rolls the pods."""
    config = of_kind(folder, "ConfigMap")
    volumes = {volume["name"]: volume for volume in pod(folder)["spec"]["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container(folder)["volumeMounts"]}
    file = Path(variables(folder)["CONFIG_FILE"]["value"])

    assert volumes[mounts[str(file.parent)]]["configMap"]["name"] == config["metadata"]["name"]
    assert file.name in config["data"]
    assert re.fullmatch(r"ctranslate2-server-[a-z0-9]{10}", config["metadata"]["name"])


@every_kustomization
def test_the_cpu_limit_is_there(folder: Path) -> None:
    """The server reads its number of threads from it, and would start one for each CPU of the node."""
    resources = container(folder)["resources"]

    assert resources["limits"]["cpu"] == resources["requests"]["cpu"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]


def test_a_gpu_is_asked_for_and_its_nodes_are_tolerated() -> None:
    """Nodes with GPUs are tainted, so that nothing else is put there."""
    assert container(GPU)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod(GPU)["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "nvidia.com/gpu" not in container(CPU)["resources"]["limits"]
    assert "tolerations" not in pod(CPU)["spec"]


def test_without_a_model_in_s3_nothing_goes_out() -> None:
    """The overlays alone let no pod reach anything; the component opens names and HTTPS, and no private address."""
    closed = of_kind(CPU, "NetworkPolicy")["spec"]
    rules = [rule for policy in policies(EXAMPLE) for rule in policy.get("egress", [])]
    ports = [{(port["protocol"], port["port"]) for port in rule["ports"]} for rule in rules]
    [https] = [rule["to"] for rule in rules if rule["ports"] == [{"port": 443, "protocol": "TCP"}]]

    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert not closed.get("egress")
    assert ports == [{("UDP", 53), ("TCP", 53)}, {("TCP", 443)}]
    public = {block["ipBlock"]["cidr"]: set(block["ipBlock"]["except"]) for block in https}
    assert public.keys() == {"0.0.0.0/0", "::/0"}
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} < public["0.0.0.0/0"]
    assert public["::/0"] == {"fc00::/7", "fe80::/10"}


def test_the_queue_scales_the_deployment() -> None:
    """The query names what is deployed; the number of replicas is the autoscaler's alone."""
    scaled = of_kind(EXAMPLE, "ScaledObject")
    deployment = of_kind(EXAMPLE, "Deployment")
    target = scaled["spec"]["scaleTargetRef"]
    [trigger] = scaled["spec"]["triggers"]
    query = trigger["metadata"]["query"]

    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"]
    assert of_kind(CPU, "Deployment")["spec"]["replicas"] == 2
    assert re.findall(r"\b(ct2_\w+)", query) == [QUEUE_METRIC]
    assert f'namespace="{deployment["metadata"]["namespace"]}"' in query
    assert f'service="{of_kind(EXAMPLE, "Service")["metadata"]["name"]}"' in query
    # KEDA takes texts only.
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert (
        scaled["spec"]["minReplicaCount"] <= scaled["spec"]["fallback"]["replicas"] <= scaled["spec"]["maxReplicaCount"]
    )


def test_the_server_has_the_metric_that_scales_it(server: Server) -> None:
    """Of a name that is nobody's, Prometheus finds nothing, and says so to nobody."""
    page = server.request("GET", "/metrics").body.decode()

    assert re.search(rf"^{QUEUE_METRIC}(\{{\S*\}})? [0-9.]+$", page, flags=re.MULTILINE)


def test_prometheus_scrapes_the_service() -> None:
    """By the name of the Service's port, and by labels that the Service has."""
    monitor = of_kind(EXAMPLE, "ServiceMonitor")["spec"]
    service = of_kind(EXAMPLE, "Service")
    [endpoint] = monitor["endpoints"]

    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_the_cache_fits_the_pods_storage() -> None:
    """A pod that has more on the node's disk than its limit is evicted."""
    [size] = [volume["emptyDir"]["sizeLimit"] for volume in pod(EXAMPLE)["spec"]["volumes"] if "emptyDir" in volume]
    limit = container(EXAMPLE)["resources"]["limits"]["ephemeral-storage"]

    assert int(size.removesuffix("Gi")) < int(limit.removesuffix("Gi"))
