"""Ask the function itself, with what was trimmed: an image whose libraries do not work is not built."""

import json
import sys
from typing import Any

EVENT = {
    "version": "2.0",
    "rawPath": "/v1/chat/completions",
    "rawQueryString": "",
    "headers": {"content-type": "application/json"},
    "requestContext": {"http": {"method": "POST", "path": "/v1/chat/completions", "sourceIp": "192.0.2.1"}},
    "isBase64Encoded": False,
}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"model": "nllb-demo", "content": "Where is the train station?", "fields": {"target_lang": "fra_Latn"}},
    {"model": "t5-demo", "content": "translate English to German: Where is the train station?", "fields": {}},
)
DOCUMENTATION = "/docs/swagger-ui-bundle.js"
"""Comes out of a package that nothing imports."""
ANSWERS = ("Où est la gare ?", "Wo ist der Bahnhof?")
OK = 200


def main() -> int:
    """Ask both embedded models, whose texts' language is detected, and for the documentation."""
    from handler.aws_lambda import lambda_handler  # noqa: PLC0415 - loads the models

    for question, expected in zip(QUESTIONS, ANSWERS, strict=True):
        messages = [{"role": "user", "content": question["content"]}]
        body = json.dumps({"model": question["model"], "messages": messages, **question["fields"]})
        response = lambda_handler(EVENT | {"body": body}, None)
        if response["statusCode"] != OK:
            print(f"error: {response['statusCode']}: {response['body']}", file=sys.stderr)
            return 1
        content = json.loads(response["body"])["choices"][0]["message"]["content"]
        if content != expected:
            print(f"error: {question['model']} answers {content!r} and not {expected!r}", file=sys.stderr)
            return 1
    http = {"method": "GET", "path": DOCUMENTATION, "sourceIp": "192.0.2.1"}
    response = lambda_handler(EVENT | {"rawPath": DOCUMENTATION, "requestContext": {"http": http}}, None)
    if response["statusCode"] != OK:
        print(f"error: {DOCUMENTATION}: {response['statusCode']}: {response['body']}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
