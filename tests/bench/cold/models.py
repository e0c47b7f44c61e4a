"""The models of the benchmark and what is asked of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapes import T5_TOKENIZER, TOKENIZER, flan_t5_base, nllb_600m

from handler.settings import DEMO_MODELS, Family

SMALL_ROWS = 32_768
SENTENCE = "Where is the train station?"
TOKENS = 8
"""That a random model decodes: it does not end by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One baked model."""

    name: str
    title: str
    folder: Path
    family: Family

    def variables(self, place: str) -> dict[str, str]:
        """Return the environment of a function with this model at ``place``: our own setting, and the other rows'."""
        tokenizer = TOKENIZER if self.family == "nllb" else T5_TOKENIZER
        prefix = {"TARGET_PREFIX": "1"} if self.family == "nllb" else {}
        return {"MODEL_PATH": place, "TOKENIZER": tokenizer, **prefix}

    def event(self) -> dict[str, Any]:
        """Return the event of API Gateway (HTTP API, payload 2.0) that asks for one greedy translation."""
        content = SENTENCE if self.family == "nllb" else f"translate English to German: {SENTENCE}"
        body = {
            "model": self.name,
            "messages": [{"role": "user", "content": content}],
            "source_lang": "eng_Latn",
            "target_lang": "fra_Latn",
            "beam_size": 1,
            "max_completion_tokens": TOKENS,
        }
        return {
            "version": "2.0",
            "routeKey": "ANY /{proxy+}",
            "rawPath": "/v1/chat/completions",
            "rawQueryString": "",
            "headers": {"content-type": "application/json", "host": "bench.execute-api.us-east-1.amazonaws.com"},
            "requestContext": {
                "http": {
                    "method": "POST",
                    "path": "/v1/chat/completions",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "bench",
                },
                "requestId": "bench=",
                "stage": "$default",
            },
            "body": json.dumps(body),
            "isBase64Encoded": False,
        }


def answer_text(response: Mapping[str, Any]) -> str:
    """Return the text that a function answered with.

    Raises:
        ValueError: The answer is an error.
    """
    if response["statusCode"] != 200:
        message = f"answered {response['statusCode']}: {response['body']}"
        raise ValueError(message)
    return str(json.loads(response["body"])["choices"][0]["message"]["content"])


def model(name: str) -> Model:
    """Return a model by its short name, made first where it is not there yet."""
    title, family, folder = MODELS[name]
    place = folder()
    return Model(name=place.name, title=title, folder=place, family=family)


MODELS: dict[str, tuple[str, Family, Callable[[], Path]]] = {
    "demo": ("demo model", "nllb", lambda: DEMO_MODELS / "nllb-demo"),
    "t5-base": ("flan-T5-base", "t5", flan_t5_base),
    "600m": ("NLLB-600M, 256k rows", "nllb", nllb_600m),
    "32k": ("NLLB-600M, 32k rows", "nllb", lambda: nllb_600m(SMALL_ROWS)),
}
"""Short name to title, family and folder."""
