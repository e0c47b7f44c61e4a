"""What each target in ``infra/`` tells the server and relies on, in one form for all of them."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from checkers import COMPOSE_FILES, ECS_TEMPLATE, KUSTOMIZATIONS, ROOT, rendered
from cloudformation import Stack, load_template

from handler.settings_sources import CONFIG_FILE_VARIABLE, LoadedSettings, load_settings

KEY = "a-key-of-the-tests"
_COMPOSE_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
ECS_PARAMETERS = {
    "VpcId": "vpc-1",
    "LoadBalancerSubnets": ["subnet-1", "subnet-2"],
    "TaskSubnets": ["subnet-3", "subnet-4"],
    "ClientCidr": "10.0.0.0/8",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/0",
    "ImageTag": "1",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One container as a target starts it."""

    environment: Mapping[str, str]
    """With a key where the target has a secret."""
    config: str | None
    """The text of the file that ``CONFIG_FILE`` names."""
    user: int
    port: int
    paths: frozenset[str]
    """What is asked for from outside the API: probes, and what Prometheus scrapes."""
    writable: frozenset[str]
    """Folders that can be written to."""
    stop_s: float
    """Seconds from SIGTERM to SIGKILL."""
    image: str

    def settings(self, folder: Path) -> LoadedSettings:
        """Return what the server makes of it, by way of a config file in ``folder``."""
        return load_settings(config_file=self.config_file(folder), environ=self.variables())

    def variables(self) -> dict[str, str]:
        """Return the environment without the name of the config file, which is another one here."""
        return {name: value for name, value in self.environment.items() if name != CONFIG_FILE_VARIABLE}

    def config_file(self, folder: Path) -> Path:
        """Write the config file into ``folder``; an empty one says nothing."""
        file = folder / "config.toml"
        file.write_text(self.config or "", encoding="utf-8")
        return file


@functools.cache
def manifests(kustomization: Path) -> list[dict[str, Any]]:
    """Return the resources of a kustomization."""
    return list(yaml.safe_load_all(rendered(kustomization)))


def of_kind(kustomization: Path, kind: str) -> dict[str, Any]:
    """Return the one resource of a kind."""
    [resource] = [resource for resource in manifests(kustomization) if resource["kind"] == kind]
    return dict(resource)


def pod(kustomization: Path) -> dict[str, Any]:
    """Return the template of the pods."""
    return dict(of_kind(kustomization, "Deployment")["spec"]["template"])


def _kubernetes(kustomization: Path) -> Target:
    spec = pod(kustomization)["spec"]
    [container] = spec["containers"]
    [port] = container["ports"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    probes = [container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    monitors = [resource for resource in manifests(kustomization) if resource["kind"] == "ServiceMonitor"]
    scraped = [endpoint["path"] for monitor in monitors for endpoint in monitor["spec"]["endpoints"]]
    return Target(
        environment={entry["name"]: entry.get("value", KEY) for entry in container["env"]},
        config=of_kind(kustomization, "ConfigMap")["data"]["config.toml"],
        user=spec["securityContext"]["runAsUser"],
        port=port["containerPort"],
        paths=frozenset(probes + scraped),
        writable=frozenset(mounts[volume["name"]] for volume in spec["volumes"] if "emptyDir" in volume),
        # The hook runs before SIGTERM, on the same clock.
        stop_s=spec["terminationGracePeriodSeconds"] - container["lifecycle"]["preStop"]["sleep"]["seconds"],
        image=container["image"],
    )


def ecs_stack(**parameters: Any) -> Stack:
    """Return what the ECS template makes of these parameters."""
    return Stack(load_template(ECS_TEMPLATE), {**ECS_PARAMETERS, **parameters})


def ecs_container(stack: Stack) -> dict[str, Any]:
    """Return the definition of the one container."""
    [container] = stack.resources["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    return dict(container)


def _ecs(compute: str) -> Target:
    stack = ecs_stack(Compute=compute, ModelBucket="models.example.com", ModelPrefix="nllb-600M", DefaultModel="nllb")
    container = ecs_container(stack)
    plain = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
    [port] = container["PortMappings"]
    group = stack.resources["TargetGroup"]["Properties"]
    return Target(
        environment=plain | {secret["Name"]: KEY for secret in container["Secrets"]},
        config=None,
        user=int(container["User"]),
        port=port["ContainerPort"],
        paths=frozenset([group["HealthCheckPath"]]),
        writable=frozenset(mount["ContainerPath"] for mount in container["MountPoints"]),
        stop_s=container["StopTimeout"],
        image=container["Image"].rpartition("/")[2],
    )


def compose_service(name: str) -> dict[str, Any]:
    """Return a service of the compose file, with the variables of an empty environment and a key."""
    text = _COMPOSE_VARIABLE.sub(
        lambda match: KEY if match[2] == "?" else match[3] or "", COMPOSE_FILES[0].read_text(encoding="utf-8")
    )
    return dict(yaml.safe_load(text)["services"][name])


def _compose() -> Target:
    service = compose_service("server")
    [published] = service["ports"]
    prometheus = yaml.safe_load((COMPOSE_FILES[0].parent / "prometheus.yaml").read_text(encoding="utf-8"))
    jobs = prometheus["scrape_configs"]
    scraped = [address for job in jobs for group in job["static_configs"] for address in group["targets"]]
    [port] = {int(address.rpartition(":")[2]) for address in (published, *scraped)}
    return Target(
        environment=service["environment"],
        config=None,
        user=int(service["user"].partition(":")[0]),
        port=port,
        # Its probe is the image's own.
        paths=frozenset(job["metrics_path"] for job in jobs),
        writable=frozenset(volume.split(":")[1] for volume in service["volumes"] if not volume.endswith(":ro")),
        stop_s=float(service["stop_grace_period"].removesuffix("s")),
        image=service["image"],
    )


@functools.cache
def targets() -> dict[str, Target]:
    """Return every target by its name."""
    kubernetes = {str(folder.relative_to(ROOT)): _kubernetes(folder) for folder in KUSTOMIZATIONS}
    ecs = {f"ecs {compute}": _ecs(compute) for compute in ("Fargate", "GPU")}
    return {**kubernetes, **ecs, "compose": _compose()}
