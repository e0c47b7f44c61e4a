"""The checkers of templates, manifests and Dockerfiles, offline; ``python tests/infra/checkers.py`` runs them all."""

import functools
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
INFRA = ROOT / "infra"
TEMPLATE = ROOT / "template.yaml"
ECS_TEMPLATE = INFRA / "ecs" / "template.yaml"
KUSTOMIZATIONS = tuple(INFRA / "kubernetes" / name for name in ("overlays/cpu", "overlays/gpu", "example"))
"""Folders that kustomize makes manifests of; the example has every component."""
COMPOSE_FILES = tuple(INFRA / "compose" / name for name in ("compose.yaml", "compose.gpu.yaml"))
KUBERNETES_VERSION = "1.33"
"""Whose schema the manifests are held to; the version of kubectl in tests/infra/node is the same."""
ACCEPTED = INFRA / "accepted_findings.toml"
TIMEOUT_S = 300.0
_IGNORE_FILE = "ignored-rules"
_SAM = ROOT / ".venv-sam" / "bin"
_INFRA = ROOT / ".venv-infra" / "bin"
_NODE = ROOT / ".venv" / "bin" / "node"
_KUBECTL = ROOT / ".venv-infra" / "kubectl" / "kubectl"
_CUSTOM_RESOURCES = Path(__file__).parent / "node" / "custom_resources.mjs"

_OFFLINE = {
    "SAM_CLI_TELEMETRY": "0",
    # SAM wants credentials to be there and AWS's libraries would look for some over the network; nobody sees these.
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
}

Command = Callable[[Path, Sequence[str]], list[str | Path]]


@dataclass(frozen=True, slots=True)
class Checker:
    """One program and what it is told; ``command`` takes the file and the rules to leave out.

    A folder is a kustomization, of which all but kustomize itself are given what it makes.
    """

    name: str
    command: Command


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a checker is content, and all it said."""

    passed: bool
    output: str


def _cfn_lint(file: Path, ignored: Sequence[str]) -> list[str | Path]:
    leave_out = ["--ignore-checks", *ignored] if ignored else []
    return [_SAM / "cfn-lint", "--template", file, "--regions", "us-east-1", *leave_out]


def _sam_lint(file: Path, ignored: Sequence[str]) -> list[str | Path]:
    assert not ignored, "sam validate leaves nothing out"
    return [_SAM / "sam", "validate", "--lint", "--region", "us-east-1", "--template", file]


def _sam_transform(file: Path, ignored: Sequence[str]) -> list[str | Path]:
    # With --lint SAM's transform is not run: a template may pass there that AWS would refuse.
    assert not ignored, "sam validate leaves nothing out"
    return [_SAM / "sam", "validate", "--region", "us-east-1", "--template", file]


def _checkov(framework: str) -> Command:
    def command(file: Path, ignored: Sequence[str]) -> list[str | Path]:
        # --skip-download: nothing is fetched from its makers' platform.
        fixed = ["--framework", framework, "--skip-download", "--compact", "--quiet"]
        leave_out = ["--skip-check", ",".join(ignored)] if ignored else []
        return [_INFRA / "checkov", "--file", file, *fixed, *leave_out]

    return command


def _trivy(file: Path, ignored: Sequence[str]) -> list[str | Path]:
    # The checks that the binary carries; a newer set, its news and its telemetry would need the network.
    offline = ["--skip-check-update", "--skip-version-check", "--disable-telemetry"]
    # It has no flag for rules to leave out and reads them from this file, which `check` writes.
    leave_out = ["--ignorefile", _IGNORE_FILE] if ignored else []
    return [_INFRA / "trivy", "config", "--quiet", "--exit-code", "1", *offline, *leave_out, file]


def _hadolint(file: Path, ignored: Sequence[str]) -> list[str | Path]:
    return [_INFRA / "hadolint", "--no-color", *(f"--ignore={rule}" for rule in ignored), file]


def _kustomize(folder: Path, ignored: Sequence[str]) -> list[str | Path]:
    assert not ignored, "kubectl kustomize leaves nothing out"
    return [_KUBECTL, "kustomize", folder]


def _kubernetes_validate(file: Path, ignored: Sequence[str]) -> list[str | Path]:
    assert not ignored, "kubernetes-validate leaves nothing out"
    return [_INFRA / "kubernetes-validate", "--strict", "--kubernetes-version", KUBERNETES_VERSION, file]


def _custom_resources(file: Path, ignored: Sequence[str]) -> list[str | Path]:
    # kubernetes-validate knows none of them and is content.
    assert not ignored, "definitions of custom resources leave nothing out"
    return [_NODE, _CUSTOM_RESOURCES, file]


def _compose_schema(file: Path, ignored: Sequence[str]) -> list[str | Path]:
    assert not ignored, "check-jsonschema leaves nothing out"
    return [_INFRA / "check-jsonschema", "--no-cache", "--builtin-schema", "vendor.compose-spec", file]


CFN_LINT = Checker("cfn-lint", _cfn_lint)
SAM_LINT = Checker("sam lint", _sam_lint)
SAM_TRANSFORM = Checker("sam", _sam_transform)
CHECKOV_TEMPLATE = Checker("checkov", _checkov("cloudformation"))
CHECKOV_DOCKERFILE = Checker("checkov", _checkov("dockerfile"))
CHECKOV_KUBERNETES = Checker("checkov", _checkov("kubernetes"))
KUSTOMIZE = Checker("kubectl kustomize", _kustomize)
KUBERNETES_VALIDATE = Checker("kubernetes-validate", _kubernetes_validate)
CUSTOM_RESOURCES = Checker("custom resources", _custom_resources)
COMPOSE_SCHEMA = Checker("check-jsonschema", _compose_schema)
TRIVY = Checker("trivy", _trivy)
HADOLINT = Checker("hadolint", _hadolint)

OF_TEMPLATE = (CFN_LINT, SAM_LINT, SAM_TRANSFORM, CHECKOV_TEMPLATE, TRIVY)
OF_CLOUDFORMATION = (CFN_LINT, CHECKOV_TEMPLATE, TRIVY)
OF_KUSTOMIZATION = (KUSTOMIZE, KUBERNETES_VALIDATE, CUSTOM_RESOURCES, CHECKOV_KUBERNETES, TRIVY)
OF_COMPOSE = (COMPOSE_SCHEMA,)
OF_DOCKERFILE = (HADOLINT, CHECKOV_DOCKERFILE, TRIVY)


def dockerfiles() -> list[Path]:
    """Return every Dockerfile of the project."""
    return sorted(ROOT.glob("Dockerfile*"))


def pairs() -> list[tuple[Checker, Path]]:
    """Return every checker with each file or folder that is its to check."""
    kinds: list[tuple[Sequence[Path], Sequence[Checker]]] = [
        ([TEMPLATE], OF_TEMPLATE),
        ([ECS_TEMPLATE], OF_CLOUDFORMATION),
        (KUSTOMIZATIONS, OF_KUSTOMIZATION),
        (COMPOSE_FILES, OF_COMPOSE),
        (dockerfiles(), OF_DOCKERFILE),
    ]
    return [(checker, file) for files, checkers in kinds for file in files for checker in checkers]


def accepted(checker: Checker, file: Path) -> list[str]:
    """Return the rules that ``file`` may break: those accepted for it, or for a folder that it is in."""
    entries = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))["accepted"]
    of_file = [entry for entry in entries if ROOT / entry["file"] in (file, *file.parents)]
    return [rule for entry in of_file for rule in entry["rules"].get(checker.name, [])]


@functools.cache
def rendered(kustomization: Path) -> str:
    """Return the manifests that kustomize makes of a folder."""
    command = _kustomize(kustomization, [])
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def check(checker: Checker, file: Path) -> Verdict:
    """Run one checker on one file or folder."""
    ignored = accepted(checker, file)
    with tempfile.TemporaryDirectory() as scratch:
        if file.is_dir() and checker is not KUSTOMIZE:
            manifests = Path(scratch) / "manifests.yaml"
            manifests.write_text(rendered(file), encoding="utf-8")
            file = manifests
        (Path(scratch) / _IGNORE_FILE).write_text("\n".join(ignored), encoding="utf-8")
        own = {**_OFFLINE, "__SAM_CLI_APP_DIR": scratch}
        result = subprocess.run(
            checker.command(file, ignored),
            cwd=scratch,
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    return Verdict(result.returncode == 0, result.stdout)


def main() -> int:
    """Check everything and print what was found; return 1 where that was anything."""
    failed = 0
    for checker, file in pairs():
        verdict = check(checker, file)
        print(f"{'ok  ' if verdict.passed else 'FAIL'} {checker.name:19} {file.relative_to(ROOT)}", flush=True)
        if not verdict.passed:
            failed += 1
            print(verdict.output)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
