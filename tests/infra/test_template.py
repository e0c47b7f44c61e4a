"""What the template makes of its parameters: what a linter, which sees one file and no choice, cannot tell."""

import functools
import itertools
import json
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from checkers import CFN_LINT, ROOT, TEMPLATE, check
from cloudformation import Stack, references

from handler.settings import Settings

SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"
APIS = ("HTTP", "REST")
AUTHS = ("ApiKey", "IAM", "None")
COLD_STARTS = ("None", "SnapStart", "Provisioned")
COMBINATIONS = [
    {"ApiKind": api, "Auth": auth, "ColdStart": cold_start}
    for api, auth, cold_start in itertools.product(APIS, AUTHS, COLD_STARTS)
]
IDS = ["-".join(combination.values()) for combination in COMBINATIONS]
every_combination = pytest.mark.parametrize("parameters", COMBINATIONS, ids=IDS)
every_api = pytest.mark.parametrize("api", APIS)

HTTP_TYPES = ("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage")
REST_TYPES = ("AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage")
PATHS = {"/", "/{proxy+}"}
FUNCTION = "TranslationFunction"


@functools.cache
def expanded() -> list[dict[str, Any]]:
    """Return the template of each combination as SAM's transform leaves it: one process for all of them."""
    job = {"template": str(TEMPLATE), "parameters": COMBINATIONS}
    script = Path(__file__).parent / "expand.py"
    result = subprocess.run(
        [SAM_PYTHON, script], input=json.dumps(job), capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    templates: list[dict[str, Any]] = json.loads(result.stdout)
    return templates


def stack(**parameters: Any) -> Stack:
    """Return what would be deployed with these parameters."""
    chosen = {key: parameters.get(key, default) for key, default in COMBINATIONS[0].items()}
    return Stack(expanded()[COMBINATIONS.index(chosen)], parameters)


def only(resources: Mapping[str, Any]) -> Any:
    """Return the one resource there is."""
    [resource] = resources.values()
    return resource


def api_body(here: Stack) -> dict[str, Any]:
    """Return the OpenAPI document of the one API."""
    body: dict[str, Any] = only(here.of_type(HTTP_TYPES[0], REST_TYPES[0]))["Body"]
    return body


@every_combination
def test_there_is_one_api_of_the_kind_asked_for(parameters: dict[str, str]) -> None:
    """The other kind leaves nothing behind, and everything that is named exists: Stack raises otherwise."""
    here = stack(**parameters)

    wanted, other = (HTTP_TYPES, REST_TYPES) if parameters["ApiKind"] == "HTTP" else (REST_TYPES, HTTP_TYPES)
    assert [len(here.of_type(kind)) for kind in wanted] == [1, 1]
    assert not here.of_type(*other)
    assert here.broken_rules() == []


@every_combination
def test_every_route_leads_to_the_alias_and_may_call_it(parameters: dict[str, str]) -> None:
    """An integration without a permission answers 500, and one that names the function passes the alias by."""
    here = stack(**parameters)
    paths = api_body(here)["paths"]
    permission = only(here.of_type("AWS::Lambda::Permission"))
    stage = only(here.of_type(HTTP_TYPES[1], REST_TYPES[1]))["StageName"]
    name = next(iter(here.of_type(HTTP_TYPES[0], REST_TYPES[0])))
    source = f"arn:aws:execute-api:us-east-1:123456789012:<{name}>"

    assert set(paths) == PATHS
    for item in paths.values():
        [(method, operation)] = item.items()
        integration = operation["x-amazon-apigateway-integration"]
        assert method == "x-amazon-apigateway-any-method"
        assert integration["type"] == "aws_proxy"
        assert f"/functions/<{FUNCTION}.Arn>:live/invocations" in integration["uri"]
    assert permission["FunctionName"] == f"<{FUNCTION}Aliaslive>"
    assert permission["Principal"] == "apigateway.amazonaws.com"
    # Any method and path of this stage of this API, and of no other.
    assert permission["SourceArn"] == f"{source}/{stage}/*"


@every_combination
def test_the_alias_is_there_and_moved_by_a_deployment(parameters: dict[str, str]) -> None:
    """The alarms of a deployment, which take a new version back, are those of the template."""
    here = stack(**parameters)
    alias = here.resources[f"{FUNCTION}Aliaslive"]
    group = only(here.of_type("AWS::CodeDeploy::DeploymentGroup"))

    assert alias["Properties"]["Name"] == "live"
    assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]
    assert group["AutoRollbackConfiguration"]["Enabled"]
    alarms = {alarm["Name"].strip("<>") for alarm in group["AlarmConfiguration"]["Alarms"]}
    assert alarms == set(here.of_type("AWS::CloudWatch::Alarm"))


@every_combination
def test_snapstart_and_provisioned_concurrency_exclude_each_other(parameters: dict[str, str]) -> None:
    """Lambda refuses both at once; scaling comes with provisioned concurrency alone."""
    here = stack(**parameters)
    function = here.resources[FUNCTION]["Properties"]
    snap_start = function["SnapStart"]["ApplyOn"] == "PublishedVersions"
    provisioned = "ProvisionedConcurrencyConfig" in here.of_type("AWS::Lambda::Alias")[f"{FUNCTION}Aliaslive"]
    scaling = here.of_type("AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy")

    assert snap_start == (parameters["ColdStart"] == "SnapStart")
    assert provisioned == (parameters["ColdStart"] == "Provisioned")
    assert len(scaling) == (2 if provisioned else 0)


@every_combination
def test_access_is_what_auth_says(parameters: dict[str, str]) -> None:
    """Keys are the server's, signatures API Gateway's; a blank API_KEYS would guard nothing."""
    here = stack(**parameters)
    variables = here.resources[FUNCTION]["Properties"]["Environment"]["Variables"]
    signed = {
        json.dumps(operation["security"]) for item in api_body(here)["paths"].values() for operation in item.values()
    }

    assert ("API_KEYS" in variables) == (parameters["Auth"] == "ApiKey")
    assert bool(here.of_type("AWS::SecretsManager::Secret")) == (parameters["Auth"] == "ApiKey")
    assert signed == {'[{"AWS_IAM": []}]' if parameters["Auth"] == "IAM" else "[]"}
    assert ("authorization: Bearer" in here.outputs["ExampleCall"]) == (parameters["Auth"] == "ApiKey")
    assert ("--aws-sigv4" in here.outputs["ExampleCall"]) == (parameters["Auth"] == "IAM")


@every_combination
def test_the_dashboard_is_json_about_what_is_there(parameters: dict[str, str]) -> None:
    """CloudWatch takes the text as it is and shows an empty graph for a metric that nobody sends."""
    here = stack(**parameters)
    widgets = json.loads(only(here.of_type("AWS::CloudWatch::Dashboard"))["DashboardBody"])["widgets"]
    named = set(re.findall(r"<(\w+)>", json.dumps(widgets)))
    api = {"HttpApi"} if parameters["ApiKind"] == "HTTP" else set()

    assert {widget["type"] for widget in widgets} == {"metric", "log"}
    assert named == {FUNCTION, "FunctionLogGroup"} | api


@every_combination
def test_alarms_watch_what_is_there(parameters: dict[str, str]) -> None:
    """An alarm on a name that is nobody's would stay green for ever."""
    here = stack(**parameters)
    alarms = here.of_type("AWS::CloudWatch::Alarm")
    dimensions = {
        name: {
            entry["Name"]: entry["Value"]
            for entry in alarm.get("Dimensions") or alarm["Metrics"][1]["MetricStat"]["Metric"]["Dimensions"]
        }
        for name, alarm in alarms.items()
    }
    alias = {"FunctionName": f"<{FUNCTION}>", "Resource": f"<{FUNCTION}>:live"}
    http = parameters["ApiKind"] == "HTTP"
    api = {"ApiId": "<HttpApi>", "Stage": "$default"} if http else {"ApiName": "translator", "Stage": "api"}

    assert dimensions == {
        "ErrorsAlarm": alias,
        "ThrottlesAlarm": alias,
        "DurationAlarm": alias,
        "ServerErrorsAlarm": api,
    }
    assert alarms["ServerErrorsAlarm"]["MetricName"] == ("5xx" if http else "5XXError")
    assert http or here.of_type(REST_TYPES[0])["RestApi"]["Name"] == "translator"
    assert all("AlarmActions" not in alarm for alarm in alarms.values())


@every_combination
def test_the_role_names_what_it_may_do_to_what(parameters: dict[str, str]) -> None:
    """No wildcard but for X-Ray, which has no resources, and within the function's own log group."""
    role = stack(**parameters).resources["FunctionRole"]["Properties"]
    [policy] = role["Policies"]
    statements = {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}
    actions = {action for statement in statements.values() for action in statement["Action"]}

    assert "ManagedPolicyArns" not in role
    assert not [action for action in actions if "*" in action]
    assert statements["WriteOwnLogs"]["Resource"] == "<FunctionLogGroup.Arn>"
    assert {sid for sid, statement in statements.items() if statement["Resource"] == "*"} == {"SendTraces"}
    assert all(action.startswith("xray:") for action in statements["SendTraces"]["Action"])


@every_combination
def test_outputs_lead_to_the_api(parameters: dict[str, str]) -> None:
    """The base URL of OpenAI clients ends in /v1, behind the stage of a REST API."""
    outputs = stack(**parameters).outputs
    name, prefix = ("HttpApi", "") if parameters["ApiKind"] == "HTTP" else ("RestApi", "/api")

    assert outputs["ApiUrl"] == f"https://<{name}>.execute-api.us-east-1.amazonaws.com{prefix}"
    assert outputs["OpenAiBaseUrl"] == f"{outputs['ApiUrl']}/v1"
    assert f"curl {outputs['ApiUrl']}/v1/chat/completions " in outputs["ExampleCall"]
    assert {"FunctionArn", "AliasArn", "DashboardUrl"} < set(outputs)


@every_api
def test_what_the_transform_writes_is_linted_too(api: str, tmp_path: Path) -> None:
    """cfn-lint does not run SAM's transform; here it sees what CloudFormation would."""
    parameters = {"ApiKind": api, "Auth": "ApiKey", "ColdStart": "Provisioned"}
    file = tmp_path / "expanded.json"
    file.write_text(json.dumps(expanded()[COMBINATIONS.index(parameters)]), encoding="utf-8")

    verdict = check(CFN_LINT, file)

    assert verdict.passed, verdict.output


def test_environment_variables_are_settings_of_the_server() -> None:
    """The server leaves alone what is no setting of its own, so a misspelt variable would do nothing."""
    variables = stack().resources[FUNCTION]["Properties"]["Environment"]["Variables"]

    assert {name.lower() for name in variables} <= set(Settings.model_fields)


def test_the_key_is_in_no_template() -> None:
    """CloudFormation reads it: the one it made, or the one that a parameter names."""
    made = stack().resources[FUNCTION]["Properties"]["Environment"]["Variables"]["API_KEYS"]
    own = stack(ApiKeysSecret="team/keys", ApiKeysSecretVersion="7")
    named = own.resources[FUNCTION]["Properties"]["Environment"]["Variables"]["API_KEYS"]

    assert made == "{{resolve:secretsmanager:<ApiKeys>:SecretString:::}}"
    assert named == "{{resolve:secretsmanager:team/keys:SecretString:::7}}"
    assert not own.of_type("AWS::SecretsManager::Secret")
    assert own.outputs["ApiKeysSecretId"] == "team/keys"


def test_a_changed_parameter_publishes_a_version() -> None:
    """All that the function is made of is in the description of the version, which CloudFormation replaces then."""
    template = expanded()[0]
    function = template["Resources"][FUNCTION]["Properties"]
    version = only({name: body for name, body in template["Resources"].items() if body["Type"].endswith("::Version")})
    description = version["Properties"]["Description"]
    parts = {key: value for key, value in function.items() if key != "Description"}
    needed = {name for name in references(parts) if name in template["Parameters"]}
    conditions = {"Auth", "ColdStart", "LogFormat"}
    # They come with the image, or are no part of a version.
    apart = {"Architecture", "ReservedConcurrency"}

    assert description == function["Description"]
    assert set(references(description)) == (needed | conditions) - apart


def test_the_longest_description_is_not_too_long() -> None:
    """Lambda takes 256 characters; each parameter says how many it may have."""
    template = expanded()[0]
    text = template["Resources"][FUNCTION]["Properties"]["Description"]["Fn::Sub"]
    longest = re.sub(r"\$\{(\w+)\}", lambda match: "x" * _longest(template["Parameters"][match[1]]), text)

    assert len(longest) <= 256


def _longest(parameter: Mapping[str, Any]) -> int:
    if "AllowedValues" in parameter:
        return max(len(str(value)) for value in parameter["AllowedValues"])
    if "MaxValue" in parameter:
        return len(str(parameter["MaxValue"]))
    pattern = parameter["AllowedPattern"]
    candidates = (length for length in range(512, -1, -1) if re.fullmatch(pattern, "1" * length))
    letters = (length for length in range(512, -1, -1) if re.fullmatch(pattern, "a" * length))
    return max(next(candidates, 0), next(letters, 0))


@pytest.mark.parametrize(
    ("parameters", "rule"),
    [
        ({"ApiKind": "REST", "Timeout": 30}, "RestStopsAt29Seconds"),
        (
            {"ColdStart": "Provisioned", "DeploymentPreference": "CodeDeployDefault.LambdaCanary10Percent5Minutes"},
            "ProvisionedTakesOverAtOnce",
        ),
        ({"BusyHoursMin": 3}, "ScheduleNeedsProvisioned"),
        ({"Auth": "IAM", "ApiKeysSecret": "keys"}, "SecretNeedsApiKey"),
        ({"AlarmEmail": "a@example.com", "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:a"}, "OneAlarmTarget"),
    ],
)
def test_parameters_that_exclude_each_other_are_refused(parameters: dict[str, Any], rule: str) -> None:
    """A stack that could not work is not begun."""
    assert stack(**parameters).broken_rules() == [rule]


def test_alarms_tell_whom_they_were_asked_to() -> None:
    """A mail address makes a topic; a topic's ARN is used as it is."""
    mail = stack(AlarmEmail="a@example.com")
    topic = stack(AlarmTopicArn="arn:aws:sns:us-east-1:123456789012:alarms")

    assert only(mail.of_type("AWS::SNS::Topic"))["Subscription"] == [{"Protocol": "email", "Endpoint": "a@example.com"}]
    assert {tuple(alarm["AlarmActions"]) for alarm in mail.of_type("AWS::CloudWatch::Alarm").values()} == {
        ("<AlarmTopic>",)
    }
    assert not topic.of_type("AWS::SNS::Topic")
    assert {tuple(alarm["OKActions"]) for alarm in topic.of_type("AWS::CloudWatch::Alarm").values()} == {
        ("arn:aws:sns:us-east-1:123456789012:alarms",)
    }


@every_api
def test_stages_log_throttle_and_trace(api: str) -> None:
    """Each line of the access log can be joined with the server's by the request's id."""
    here = stack(ApiKind=api, ThrottlingRate=7, ThrottlingBurst=9)
    stage = only(here.of_type(HTTP_TYPES[1], REST_TYPES[1]))
    log = stage.get("AccessLogSettings") or stage["AccessLogSetting"]
    limits = stage.get("DefaultRouteSettings") or stage["MethodSettings"][0]
    groups = here.of_type("AWS::Logs::LogGroup").values()

    assert json.loads(log["Format"])["requestId"] == "$context.requestId"
    assert log["DestinationArn"] == "<AccessLogGroup.Arn>"
    assert (limits["ThrottlingRateLimit"], limits["ThrottlingBurstLimit"]) == (7, 9)
    assert api == "HTTP" or stage["TracingEnabled"]
    assert [group["RetentionInDays"] for group in groups] == [30, 30]
    assert here.resources[FUNCTION]["Properties"]["TracingConfig"] == {"Mode": "Active"}


def test_rest_stages_wait_for_the_accounts_log_role() -> None:
    """API Gateway refuses a stage that logs where the account has no role for it, unless one is said to exist."""
    made = stack(ApiKind="REST")
    existing = stack(ApiKind="REST", ApiGatewayLogRole="Existing")

    assert only(made.of_type(REST_TYPES[1]))["Variables"] == {"LogRole": "<ApiGatewayAccount>"}
    assert not existing.of_type("AWS::ApiGateway::Account")
    assert not stack().of_type("AWS::ApiGateway::Account")


@pytest.mark.parametrize(
    ("log_format", "logging"),
    [
        ("JSON", {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "INFO"}),
        ("Text", {"LogFormat": "Text"}),
    ],
)
def test_levels_go_with_json(log_format: str, logging: dict[str, str]) -> None:
    """Lambda refuses levels with the text format and has names of its own for two of them."""
    function = stack(LogFormat=log_format, LogLevel="WARNING").resources[FUNCTION]["Properties"]

    assert function["LoggingConfig"] == {"LogGroup": "<FunctionLogGroup>", **logging}
    assert function["Environment"]["Variables"]["LOG_LEVEL"] == "WARNING"


def test_busy_hours_are_a_schedule() -> None:
    """Two actions: one raises the minimum, the other brings it back."""
    here = stack(ColdStart="Provisioned", BusyHoursMin=4, ProvisionedConcurrencyMin=2)
    target = only(here.of_type("AWS::ApplicationAutoScaling::ScalableTarget"))
    without = only(stack(ColdStart="Provisioned").of_type("AWS::ApplicationAutoScaling::ScalableTarget"))

    assert [action["ScalableTargetAction"]["MinCapacity"] for action in target["ScheduledActions"]] == [4, 2]
    assert target["ResourceId"] == f"function:<{FUNCTION}>:live"
    assert "ScheduledActions" not in without


@pytest.mark.parametrize(("reserved", "expected"), [(-1, None), (0, 0), (5, 5)])
def test_concurrency_is_reserved_when_asked_for(reserved: int, expected: int | None) -> None:
    """0 is a number like any other: it stops the function."""
    function = stack(ReservedConcurrency=reserved).resources[FUNCTION]["Properties"]

    assert function.get("ReservedConcurrentExecutions") == expected


def test_build_arguments_are_those_of_the_dockerfile() -> None:
    """Docker ignores an argument that no ARG names; an empty default here is one there."""
    resource = expanded()[0]["Resources"][FUNCTION]
    dockerfile = (ROOT / resource["Metadata"]["Dockerfile"]).read_text(encoding="utf-8")
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", dockerfile, flags=re.MULTILINE))
    given = Stack(expanded()[0], {}).resolve(resource["Metadata"]["DockerBuildArgs"])

    assert given == {name: arguments[name].strip('"') for name in given}


def test_the_image_runs_the_servers_handler() -> None:
    """The command is the one that Dockerfile.lambda has and the package carries."""
    function = stack().resources[FUNCTION]["Properties"]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]

    assert function["PackageType"] == "Image"
    assert function["ImageConfig"]["Command"] == ["handler.aws_lambda.lambda_handler"]
    assert "handler*" in packages["find"]["include"]
