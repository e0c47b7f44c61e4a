"""What the ECS template makes of its parameters."""

from typing import Any

import pytest
from cloudformation import Stack
from hosts import ECS_PARAMETERS, ecs_container, ecs_stack

COMPUTES = ("Fargate", "GPU")
MODEL = {"ModelBucket": "models.example.com", "ModelPrefix": "nllb/600M"}
OWN_KEYS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:keys-a1b2c3"
every_compute = pytest.mark.parametrize("compute", COMPUTES)
GPU_RESOURCES = {
    "GpuCapacityProvider",
    "Instances",
    "InstanceTemplate",
    "InstanceSecurityGroup",
    "InstanceProfile",
    "InstanceRole",
}


def properties(stack: Stack, name: str) -> dict[str, Any]:
    """Return the properties of a resource."""
    return dict(stack.resources[name]["Properties"])


def attributes(stack: Stack, name: str, key: str) -> dict[str, str]:
    """Return a list of keys and values as what it is."""
    return {entry["Key"]: entry["Value"] for entry in properties(stack, name)[key]}


def statements(stack: Stack, role: str) -> dict[str, Any]:
    """Return what a role may do, by name."""
    policies = properties(stack, role).get("Policies", [])
    return {entry["Sid"]: entry for policy in policies for entry in policy["PolicyDocument"]["Statement"]}


@every_compute
def test_compute_brings_what_it_needs(compute: str) -> None:
    """Everything that is named exists, or Stack raises; the other kind leaves nothing behind."""
    stack = ecs_stack(Compute=compute)
    task = properties(stack, "TaskDefinition")
    provider = {"Fargate": "FARGATE", "GPU": "<GpuCapacityProvider>"}[compute]
    associated = properties(stack, "CapacityProviders")

    assert stack.broken_rules() == []
    assert (stack.resources.keys() & GPU_RESOURCES) == (GPU_RESOURCES if compute == "GPU" else set())
    assert task["RequiresCompatibilities"] == [{"Fargate": "FARGATE", "GPU": "EC2"}[compute]]
    assert associated["CapacityProviders"] == [provider]
    assert associated["DefaultCapacityProviderStrategy"][0]["CapacityProvider"] == provider
    assert properties(stack, "Service")["CapacityProviderStrategy"][0]["CapacityProvider"] == provider
    assert ecs_container(stack).get("ResourceRequirements", []) == (
        [{"Type": "GPU", "Value": "1"}] if compute == "GPU" else []
    )
    # Fargate refuses both.
    assert ("PlacementStrategies" in properties(stack, "Service")) == (compute == "GPU")
    assert ("DockerSecurityOptions" in ecs_container(stack)) == (compute == "GPU")


@every_compute
def test_the_container_is_allowed_nothing(compute: str) -> None:
    """As on every other target."""
    container = ecs_container(ecs_stack(Compute=compute))

    assert container["ReadonlyRootFilesystem"]
    assert not container["Privileged"]
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}


@every_compute
def test_roles_name_what_they_may_do_to_what(compute: str) -> None:
    """No wildcard among the actions; every resource by name but where there is none, or where the cluster is."""
    stack = ecs_stack(Compute=compute, **MODEL)
    roles = [name for name, body in stack.resources.items() if body["Type"] == "AWS::IAM::Role"]
    all_statements = {(role, sid): entry for role in roles for sid, entry in statements(stack, role).items()}
    actions = [action for entry in all_statements.values() for action in _as_list(entry["Action"])]
    open_ones = {key[1] for key, entry in all_statements.items() if entry["Resource"] == "*"}

    assert not [action for action in actions if "*" in action]
    assert not [role for role in roles if "ManagedPolicyArns" in properties(stack, role)]
    assert open_ones == {"LogInToEcr"} | ({"ActForItsInstances", "FindTheService"} if compute == "GPU" else set())
    if compute == "GPU":
        condition = all_statements["InstanceRole", "ActForItsInstances"]["Condition"]
        assert condition == {"ArnEquals": {"ecs:cluster": "<Cluster.Arn>"}}


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def test_the_server_may_read_its_model_and_nothing_else() -> None:
    """Not the bucket, not a neighbour whose name begins alike; without a model in S3, nothing."""
    read, listing = statements(ecs_stack(**MODEL), "TaskRole").values()

    assert read["Action"] == "s3:GetObject"
    assert read["Resource"] == "arn:aws:s3:::models.example.com/nllb/600M/*"
    assert listing["Action"] == "s3:ListBucket"
    assert listing["Resource"] == "arn:aws:s3:::models.example.com"
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["nllb/600M", "nllb/600M/*"]}}
    assert statements(ecs_stack(), "TaskRole") == {}


def test_the_model_is_named_to_the_server() -> None:
    """The path is that of the permission; without one the image's own model stays."""
    variables = {entry["Name"]: entry["Value"] for entry in ecs_container(ecs_stack(**MODEL))["Environment"]}
    without = {entry["Name"] for entry in ecs_container(ecs_stack())["Environment"]}

    assert variables["MODEL_PATH"] == "s3://models.example.com/nllb/600M"
    assert not without & {"MODEL_PATH", "DEFAULT_MODEL"}


@pytest.mark.parametrize(
    ("parameters", "keys"), [({}, "<ApiKeys>"), ({"ApiKeysSecretArn": OWN_KEYS}, OWN_KEYS)], ids=["made", "own"]
)
def test_keys_come_from_secrets_manager(parameters: dict[str, str], keys: str) -> None:
    """ECS reads them for the task, with a role that may read this one secret; no task definition has them."""
    stack = ecs_stack(**parameters)

    assert ecs_container(stack)["Secrets"] == [{"Name": "API_KEYS", "ValueFrom": keys}]
    assert statements(stack, "ExecutionRole")["ReadTheKeys"]["Resource"] == keys
    assert bool(stack.of_type("AWS::SecretsManager::Secret")) == (not parameters)
    assert stack.outputs["ApiKeysSecretId"] == keys


@pytest.mark.parametrize(
    ("parameters", "rule"),
    [({"ModelBucket": "models"}, "ModelHasBucketAndPrefix"), ({"ModelPrefix": "nllb"}, "PrefixNeedsBucket")],
    ids=["bucket", "prefix"],
)
def test_half_a_model_is_refused(parameters: dict[str, str], rule: str) -> None:
    """A bucket alone would be read whole."""
    assert ecs_stack(**parameters).broken_rules() == [rule]


@every_compute
def test_a_task_ends_after_its_requests(compute: str) -> None:
    """A request that came just before the end has all the time that the server itself would give it."""
    stack = ecs_stack(Compute=compute)
    container = ecs_container(stack)
    variables = {entry["Name"]: entry["Value"] for entry in container["Environment"]}
    deregistration = float(
        attributes(stack, "TargetGroup", "TargetGroupAttributes")["deregistration_delay.timeout_seconds"]
    )
    idle = float(attributes(stack, "LoadBalancer", "LoadBalancerAttributes")["idle_timeout.timeout_seconds"])
    longest, drain = float(variables["MAX_REQUEST_S"]), float(variables["DRAIN_S"])

    assert deregistration + drain >= longest
    assert idle > longest
    assert drain < container["StopTimeout"] <= 120


def test_the_way_in_is_https_from_the_clients_alone() -> None:
    """And from the load balancer to the tasks; nobody reaches an instance."""
    stack = ecs_stack(Compute="GPU")
    [listener] = stack.of_type("AWS::ElasticLoadBalancingV2::Listener").values()
    [outer] = properties(stack, "LoadBalancerSecurityGroup")["SecurityGroupIngress"]
    [inner] = stack.of_type("AWS::EC2::SecurityGroupIngress").values()
    [to_tasks] = properties(stack, "LoadBalancerSecurityGroup")["SecurityGroupEgress"]
    port = ecs_container(stack)["PortMappings"][0]["ContainerPort"]

    assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)
    assert listener["Certificates"] == [{"CertificateArn": ECS_PARAMETERS["CertificateArn"]}]
    assert (outer["FromPort"], outer["ToPort"], outer["CidrIp"]) == (443, 443, ECS_PARAMETERS["ClientCidr"])
    assert (inner["SourceSecurityGroupId"], inner["GroupId"]) == ("<LoadBalancerSecurityGroup>", "<TaskSecurityGroup>")
    assert {inner["FromPort"], inner["ToPort"], to_tasks["FromPort"], to_tasks["ToPort"]} == {port}
    assert to_tasks["DestinationSecurityGroupId"] == "<TaskSecurityGroup>"
    assert "SecurityGroupIngress" not in properties(stack, "InstanceSecurityGroup")
    assert "SecurityGroupIngress" not in properties(stack, "TaskSecurityGroup")


def test_the_load_balancer_leads_to_the_container() -> None:
    """One port, from the target group to the server."""
    stack = ecs_stack()
    container = ecs_container(stack)
    [way] = properties(stack, "Service")["LoadBalancers"]

    assert way["ContainerName"] == container["Name"]
    assert way["ContainerPort"] == container["PortMappings"][0]["ContainerPort"]
    assert properties(stack, "TargetGroup")["Port"] == way["ContainerPort"]
    assert properties(stack, "TargetGroup")["TargetType"] == "ip"
    assert set(stack.resources["Service"]["DependsOn"]) == {"CapacityProviders", "HttpsListener"}


def test_a_bad_version_is_taken_back() -> None:
    """While at least as many tasks as before answer."""
    service = properties(ecs_stack(), "Service")

    assert service["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert service["DeploymentConfiguration"]["MinimumHealthyPercent"] == 100
    assert "DesiredCount" not in service


def test_requests_scale_the_tasks() -> None:
    """CloudFormation does not look into the label, which names both sides of what is counted."""
    stack = ecs_stack(TasksMin=3, TasksMax=7, RequestsPerTask=50)
    target = properties(stack, "Tasks")
    policy = properties(stack, "TasksFollowRequests")["TargetTrackingScalingPolicyConfiguration"]

    assert target["ResourceId"] == "service/<Cluster>/<Service.Name>"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 7)
    assert policy["TargetValue"] == 50
    label = policy["PredefinedMetricSpecification"]["ResourceLabel"]
    assert label == "<LoadBalancer.LoadBalancerFullName>/<TargetGroup.TargetGroupFullName>"


def test_instances_join_the_cluster_and_go_when_they_are_empty() -> None:
    """ECS refuses termination protection for a group that does not protect its instances."""
    stack = ecs_stack(Compute="GPU")
    provider = properties(stack, "GpuCapacityProvider")["AutoScalingGroupProvider"]
    group = properties(stack, "Instances")
    data = properties(stack, "InstanceTemplate")["LaunchTemplateData"]

    assert provider["AutoScalingGroupArn"] == "<Instances>"
    assert provider["ManagedScaling"]["Status"] == "ENABLED"
    assert provider["ManagedTerminationProtection"] == "ENABLED"
    assert group["NewInstancesProtectedFromScaleIn"]
    assert "ECS_CLUSTER=<Cluster>\n" in data["UserData"]
    assert "ECS_AWSVPC_BLOCK_IMDS=true\n" in data["UserData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert "/gpu/" in str(data["ImageId"])
