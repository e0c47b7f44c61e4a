"""The bare engine as ``overhead.py`` asks for it: in a process of its own, or behind AWS's runtime client.

It is the very engine that the Lambda handler of this process calls, so the two differ in the HTTP path alone.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from handler.aws_lambda import lambda_handler
from handler.decoding_options import DecodingOptions
from handler.engine import Engine
from handler.lambda_app import app

_BARE, _HANDLER = "bare", "handler"


class Context:
    """What Powertools reads of a Lambda context."""

    function_name = "bench"
    function_version = "1"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-4000-8000-000000000000"


def _engine() -> Engine:
    # A loop that is not made the current one: what the handler does with its own is part of what is measured.
    loop = asyncio.new_event_loop()
    try:
        engine: Engine = loop.run_until_complete(app.state.models.engine(app.state.models.default))
        return engine
    finally:
        loop.close()


ENGINE = _engine()
OPTIONS = DecodingOptions(beam_size=app.state.models.default.beam_size)


def translate(request: dict[str, Any]) -> str:
    """Return the translation of a chat completion's only message."""
    translation = ENGINE.translate(
        request["messages"][0]["content"],
        source_lang=request["source_lang"],
        target_lang=request["target_lang"],
        options=OPTIONS,
    )
    return translation.choices[0].text


def handler(event: Any, _: Any) -> Any:
    """Answer an event of API Gateway with as little as the engine can be asked with."""
    message = {"content": translate(json.loads(event["body"]))}
    return {"statusCode": 200, "body": json.dumps({"choices": [{"message": message}]})}


def main() -> None:
    """Answer each line of standard input, the name of a side, with milliseconds and the text that was answered.

    Answers go to the descriptor that the command line names: the handler logs to standard output, as it does in Lambda.
    """
    answers = os.fdopen(int(sys.argv[1]), "w")
    event = json.loads(sys.stdin.readline())
    request = json.loads(event["body"])
    for line in sys.stdin:
        if line.strip() == _BARE:
            start = time.perf_counter_ns()
            text = translate(request)
            took = time.perf_counter_ns() - start
        else:
            start = time.perf_counter_ns()
            response = lambda_handler(event, Context())
            took = time.perf_counter_ns() - start
            text = json.loads(response["body"])["choices"][0]["message"]["content"]
        print(json.dumps([took / 1e6, text]), file=answers, flush=True)


if __name__ == "__main__":
    main()
