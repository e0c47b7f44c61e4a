"""The template as SAM's command line reads it on this machine, where conditions on resources count for nothing."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from checkers import ROOT, TEMPLATE

SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"


def local_view(**parameters: str) -> dict[str, Any]:
    """Return what `sam build` and `sam local` make of the template with these overrides."""
    job = json.dumps({"template": str(TEMPLATE), "parameters": parameters})
    script = Path(__file__).parent / "local_view.py"
    result = subprocess.run([SAM_PYTHON, script], input=job, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    view: dict[str, Any] = json.loads(result.stdout)
    return view


@pytest.mark.parametrize(("api", "event"), [("HTTP", "HttpApi"), ("REST", "Api")])
def test_the_api_asked_for_is_served(api: str, event: str) -> None:
    """Both APIs have the same paths: the one whose turn it is must be the only one to bring them."""
    view = local_view(ApiKind=api, Auth="IAM")

    assert view["routes"] == [["/", "TranslationFunction", event], ["/{proxy+}", "TranslationFunction", event]]
    assert {"GET", "POST", "OPTIONS", "DELETE"} <= set(view["methods"])


def test_the_function_starts_without_a_key() -> None:
    """SAM hands on a choice with AWS::NoValue as an empty variable, which the server disregards for SAM."""
    view = local_view()

    assert not isinstance(view["variables"]["API_KEYS"], str)
    assert {name for name, value in view["variables"].items() if not isinstance(value, str)} == {"API_KEYS"}
    assert view["logging"]["ApplicationLogLevel"] == "INFO"


def test_a_model_is_chosen_at_the_build() -> None:
    """`sam build --parameter-overrides` reaches the build arguments."""
    view = local_view(ModelSource="facebook/nllb-200-distilled-600M", ModelLanguages="eng_Latn,fra_Latn")

    assert view["build_arguments"] == {
        "BASE_IMAGE": "public.ecr.aws/lambda/python:3.13",
        "MODEL_SOURCE": "facebook/nllb-200-distilled-600M",
        "MODEL_NAME": "",
        "MODEL_REVISION": "",
        "MODEL_QUANTIZATION": "",
        "MODEL_LANGUAGES": "eng_Latn,fra_Latn",
        "TORCH_INDEX": "https://download.pytorch.org/whl/cpu",
    }
