"""The real checkers: content with the project's files, and each stopped by a file with one fault."""

from pathlib import Path

import pytest
from checkers import (
    ACCEPTED,
    CFN_LINT,
    CHECKOV_DOCKERFILE,
    CHECKOV_KUBERNETES,
    CHECKOV_TEMPLATE,
    COMPOSE_SCHEMA,
    CUSTOM_RESOURCES,
    HADOLINT,
    KUBERNETES_VALIDATE,
    KUSTOMIZATIONS,
    KUSTOMIZE,
    ROOT,
    SAM_LINT,
    SAM_TRANSFORM,
    TRIVY,
    Checker,
    accepted,
    check,
    pairs,
)

BAD = Path(__file__).parent / "bad"


@pytest.mark.parametrize(
    ("checker", "file"), pairs(), ids=[f"{checker.name} {file.relative_to(ROOT)}" for checker, file in pairs()]
)
def test_the_projects_files_pass(checker: Checker, file: Path) -> None:
    """Nothing is found but what the file itself, or the list of accepted findings, gives a reason for."""
    verdict = check(checker, file)

    assert verdict.passed, verdict.output


FAULTS = [
    (CFN_LINT, "cfn_lint.yaml", "E3002"),
    (SAM_LINT, "cfn_lint.yaml", "E3002"),
    (SAM_TRANSFORM, "sam.yaml", "defined multiple times"),
    (CHECKOV_TEMPLATE, "checkov.yaml", "CKV_AWS_109"),
    (TRIVY, "trivy.yaml", "AWS-0107"),
    (HADOLINT, "Dockerfile", "DL3007"),
    (CHECKOV_DOCKERFILE, "Dockerfile", "CKV_DOCKER_7"),
    (TRIVY, "Dockerfile", "DS-0001"),
    (KUSTOMIZE, "kustomization", "/spec/replica"),
    (KUBERNETES_VALIDATE, "kubernetes_validate.yaml", "readynessProbe"),
    (CUSTOM_RESOURCES, "custom_resource_name.yaml", "poolingInterval"),
    (CUSTOM_RESOURCES, "custom_resource_value.yaml", "interval"),
    (CUSTOM_RESOURCES, "custom_resource_kind.yaml", "example.com/v1"),
    (CHECKOV_KUBERNETES, "kubernetes.yaml", "CKV_K8S_16"),
    (TRIVY, "kubernetes.yaml", "KSV-0017"),
    (COMPOSE_SCHEMA, "compose.yaml", "cap_dropp"),
]


@pytest.mark.parametrize(
    ("checker", "name", "rule"), FAULTS, ids=[f"{checker.name} {rule}" for checker, _, rule in FAULTS]
)
def test_a_fault_is_found(checker: Checker, name: str, rule: str) -> None:
    """A checker that runs offline may find nothing because it looked at nothing."""
    verdict = check(checker, BAD / name)

    assert not verdict.passed
    assert rule in verdict.output


@pytest.mark.parametrize(
    ("checker", "instruction", "rule"),
    [
        (CHECKOV_DOCKERFILE, "USER", "CKV_DOCKER_3"),
        (TRIVY, "USER", "DS-0002"),
        (CHECKOV_DOCKERFILE, "HEALTHCHECK", "CKV_DOCKER_2"),
        (TRIVY, "HEALTHCHECK", "DS-0026"),
    ],
    ids=["checkov USER", "trivy USER", "checkov HEALTHCHECK", "trivy HEALTHCHECK"],
)
def test_an_image_for_hosts_without_a_user_or_a_health_check_is_refused(
    checker: Checker, instruction: str, rule: str, tmp_path: Path
) -> None:
    """What Lambda does without is accepted for its image alone."""
    lines = (ROOT / "Dockerfile.gpu").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"{instruction} ")]
    (tmp_path / "Dockerfile").write_text("".join(kept), encoding="utf-8")

    verdict = check(checker, tmp_path / "Dockerfile")

    assert len(kept) == len(lines) - 1
    assert not verdict.passed
    assert rule in verdict.output


def test_every_checker_has_a_file_that_fails() -> None:
    """A new checker comes with its proof."""
    assert {checker for checker, _ in pairs()} == {checker for checker, _, _ in FAULTS}


def test_accepted_findings_are_of_the_projects_files(tmp_path: Path) -> None:
    """A finding is accepted in the one file or folder that is named, with a reason."""
    text = ACCEPTED.read_text(encoding="utf-8")

    assert accepted(TRIVY, ROOT / "Dockerfile.lambda")
    assert accepted(TRIVY, tmp_path / "Dockerfile.lambda") == []
    assert accepted(CHECKOV_KUBERNETES, KUSTOMIZATIONS[0])
    assert accepted(CHECKOV_KUBERNETES, BAD / "kubernetes.yaml") == []
    assert text.count("[[accepted]]") == text.count("reason =") == text.count("file =")
