"""Translate with what was trimmed, through the function itself: an image whose libraries do not work is not built."""

import json
import sys

EVENT = {
    "version": "2.0",
    "rawPath": "/v1/chat/completions",
    "rawQueryString": "",
    "headers": {"content-type": "application/json"},
    "requestContext": {"http": {"method": "POST", "path": "/v1/chat/completions", "sourceIp": "192.0.2.1"}},
    "isBase64Encoded": False,
}
QUESTIONS = {
    "nllb-demo": {"content": "Where is the train station?", "fields": {"target_lang": "fra_Latn"}},
    "t5-demo": {"content": "translate English to German: Where is the train station?", "fields": {}},
}
ANSWERS = {"nllb-demo": "Où est la gare ?", "t5-demo": "Wo ist der Bahnhof?"}


def main() -> int:
    """Ask both embedded models; the language of the text is detected."""
    from handler.aws_lambda import lambda_handler  # noqa: PLC0415 - loads the models

    for model, question in QUESTIONS.items():
        messages = [{"role": "user", "content": question["content"]}]
        body = json.dumps({"model": model, "messages": messages, **question["fields"]})
        response = lambda_handler(EVENT | {"body": body}, None)
        if response["statusCode"] != 200:
            print(f"error: {model} answers {response['statusCode']}: {response['body']}", file=sys.stderr)
            return 1
        content = json.loads(response["body"])["choices"][0]["message"]["content"]
        if content != ANSWERS[model]:
            print(f"error: {model} answers {content!r}", file=sys.stderr)
            return 1
        print(f"{model}: {content}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
