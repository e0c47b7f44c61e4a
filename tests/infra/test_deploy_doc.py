"""docs/deploy.md names what there is: files, build arguments, parameters, settings and times."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from checkers import ECS_TEMPLATE, KUSTOMIZATIONS, ROOT
from cloudformation import load_template
from hosts import ecs_container, ecs_stack, of_kind, pod

from handler.settings import Settings

TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
COMMANDS = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL))
# Of the reader, and of AWS's and Docker's own commands.
FOREIGN_VARIABLES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
OWN_COPY = "infra/kubernetes/mine"


def test_every_path_is_there() -> None:
    """Commands are pasted, and a moved file is found by the reader otherwise."""
    paths = set(re.findall(r"\b(?:infra|docs)/[\w./-]*\w", TEXT)) - {"infra/compose/.env", "infra/compose/server.env"}
    named = {path for path in paths if not path.startswith(OWN_COPY)}

    assert len(named) > 5
    assert [path for path in named if not (ROOT / path).exists()] == []
    # The reader's copy of the example: its references upwards hold beside the example alone.
    assert (ROOT / OWN_COPY).parent == KUSTOMIZATIONS[2].parent


def test_every_variable_of_a_container_is_a_setting() -> None:
    """The server leaves alone what is no setting of its own."""
    variables = set(re.findall(r"--env (\w+)", TEXT))

    assert {"API_KEYS", "MODEL_PATH"} <= variables
    assert {name.lower() for name in variables - FOREIGN_VARIABLES} <= set(Settings.model_fields)


def test_every_parameter_of_ecs_is_in_the_template() -> None:
    """CloudFormation refuses a name that it does not know; all that have no default are in the command."""
    parameters = load_template(ECS_TEMPLATE)["Parameters"]
    [command] = re.findall(r"--parameter-overrides (.*?)```", TEXT, flags=re.DOTALL)
    given = set(re.findall(r"(\w+)=", command))
    section = TEXT[TEXT.index("## ECS") :]
    table = set(re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE))
    named = {name for cell in table for name in re.findall(r"`(\w+)(?:=\w[\w-]*)?`", cell) if name[0].isupper()}

    assert given <= set(parameters)
    assert {name for name, spec in parameters.items() if "Default" not in spec} <= given
    assert named
    assert named <= set(parameters)


def test_the_alert_rules_are_a_prometheus_rule() -> None:
    """What the command gives kubectl."""
    [command] = re.findall(r"```sh\n(\{\n.*?) \| kubectl .*?```", TEXT, flags=re.DOTALL)
    given = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=True, timeout=30).stdout

    rule = yaml.safe_load(given)

    assert (rule["kind"], rule["metadata"]["name"]) == ("PrometheusRule", "ctranslate2-server")
    assert rule["spec"] == yaml.safe_load((ROOT / "infra" / "observability" / "rules.yaml").read_text(encoding="utf-8"))


def test_every_component_of_the_example_is_explained() -> None:
    """Each line that a reader may take out."""
    example = yaml.safe_load((KUSTOMIZATIONS[2] / "kustomization.yaml").read_text(encoding="utf-8"))
    lines = example["resources"] + example["components"] + [patch["path"] for patch in example["patches"]]

    assert [line for line in lines if f"`{line}`" not in TEXT] == []


def test_the_readers_copy_takes_a_gpu_and_a_config(tmp_path: Path) -> None:
    """Both as the document says: one line for another, one line more and a file beside it."""
    shutil.copytree(KUSTOMIZATIONS[0].parent.parent, tmp_path / "kubernetes")
    mine = tmp_path / "kubernetes" / "mine"
    (tmp_path / "kubernetes" / "example").rename(mine)
    text = (mine / "kustomization.yaml").read_text(encoding="utf-8").replace("../overlays/cpu", "../overlays/gpu")
    [generator] = re.findall(r"`(configMapGenerator: .*)`", TEXT)
    (mine / "kustomization.yaml").write_text(f"{text}{generator}\n", encoding="utf-8")
    (mine / "config.toml").write_text("beam_size = 1\n", encoding="utf-8")

    [container] = pod(mine)["spec"]["containers"]

    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "DEVICE", "value": "cuda"} in container["env"]
    assert of_kind(mine, "ConfigMap")["data"] == {"config.toml": "beam_size = 1\n"}
    assert of_kind(mine, "ScaledObject")


def test_names_in_the_commands_are_those_of_the_manifests() -> None:
    """The secret, the Deployment, the Service and the namespace."""
    folder = KUSTOMIZATIONS[0]
    [container] = pod(folder)["spec"]["containers"]
    [secret] = [entry["valueFrom"]["secretKeyRef"] for entry in container["env"] if "valueFrom" in entry]
    namespace = of_kind(folder, "Namespace")["metadata"]["name"]
    service = of_kind(folder, "Service")

    assert f"create secret generic {secret['name']} --from-literal={secret['key']}=" in COMMANDS
    assert f"kubectl create namespace {namespace}" in COMMANDS
    assert COMMANDS.count(f"kubectl --namespace {namespace} ") == 4
    assert f"rollout status deployment/{of_kind(folder, 'Deployment')['metadata']['name']}" in COMMANDS
    assert f"service/{service['metadata']['name']} 8000:{service['spec']['ports'][0]['port']}" in COMMANDS


@pytest.mark.parametrize("name", ["Kubernetes", "ECS"])
def test_times_to_stop_are_those_of_the_files(name: str) -> None:
    """The table of what happens when."""
    [row] = re.findall(rf"^\| {name} \| (.*) \|$", TEXT[TEXT.index("## Stopping") :], flags=re.MULTILINE)
    numbers = {int(number) for number in re.findall(r"\d+", row)}
    if name == "Kubernetes":
        spec = pod(KUSTOMIZATIONS[0])["spec"]
        [container] = spec["containers"]
        [drain] = [int(entry["value"]) for entry in container["env"] if entry["name"] == "DRAIN_S"]
        sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        expected = {drain, sleep, spec["terminationGracePeriodSeconds"]}
    else:
        stack = ecs_stack()
        container = ecs_container(stack)
        [drain] = [int(entry["Value"]) for entry in container["Environment"] if entry["Name"] == "DRAIN_S"]
        attributes = {
            entry["Key"]: entry["Value"]
            for entry in stack.resources["TargetGroup"]["Properties"]["TargetGroupAttributes"]
        }
        expected = {drain, container["StopTimeout"], int(attributes["deregistration_delay.timeout_seconds"])}

    assert numbers == expected


def test_build_arguments_are_those_of_the_dockerfile() -> None:
    """Docker ignores an argument that no ARG names."""
    dockerfile = (ROOT / "Dockerfile.gpu").read_text(encoding="utf-8")
    arguments = set(re.findall(r"--build-arg (\w+)=", TEXT))

    assert arguments >= {"MODEL_SOURCE", "CUDA"}
    assert arguments <= set(re.findall(r"^ARG (\w+)", dockerfile, flags=re.MULTILINE))
