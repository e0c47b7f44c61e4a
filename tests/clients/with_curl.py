"""curl, one process a call, with what a script would do to its output."""

import asyncio
import json
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from typing import Any

from wanted import Client, Endpoint, Part

_HTTP_ERROR = 22
"""Exit code of ``--fail-with-body`` where the status is 400 or above (curl's manual, "EXIT CODES")."""


class CurlError(Exception):
    """The answer is an error, or a stream has one in it."""

    def __init__(self, body: dict[str, Any], status_code: int | None) -> None:
        super().__init__(body["message"])
        self.body = body
        self.status_code = status_code


class Curl:
    """``curl --fail-with-body``."""

    async def ask(self, endpoint: Endpoint, text: str, target: str) -> Part:
        """Have ``text`` translated."""
        [answer] = await asyncio.to_thread(lambda: list(_objects(endpoint, text, target)))
        [choice] = answer["choices"]
        return Part(choice["message"]["content"], choice["finish_reason"], _usage(answer))

    async def stream(self, endpoint: Endpoint, text: str, target: str) -> AsyncGenerator[Part, None]:
        """Have ``text`` translated bit by bit."""
        fields = {"stream": True, "stream_options": {"include_usage": True}}
        with closing(_objects(endpoint, text, target, **fields)) as chunks:
            for chunk in chunks:
                for choice in chunk["choices"]:
                    yield Part(choice["delta"].get("content", ""), choice["finish_reason"])
                if chunk["usage"]:
                    yield Part(usage=_usage(chunk))


def _objects(endpoint: Endpoint, text: str, target: str, **fields: Any) -> Generator[Any, None, None]:
    """Yield what curl prints: one object, or those of a stream's events; who stops reading ends curl."""
    body = {"model": endpoint.model, "target_lang": target, "messages": [{"role": "user", "content": text}], **fields}
    command = [
        *("curl", "--disable", "--silent", "--no-buffer", "--fail-with-body", "--write-out", "%{stderr}%{http_code}"),
        *("--header", f"authorization: Bearer {endpoint.key}", "--header", "content-type: application/json"),
        *("--data-binary", "@-", f"{endpoint.url}/chat/completions"),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as curl:
        assert curl.stdin
        assert curl.stdout
        assert curl.stderr
        try:
            curl.stdin.write(json.dumps(body).encode())
            curl.stdin.close()
            for line in curl.stdout:
                data = line.decode().strip().removeprefix("data: ")
                if data in {"", "[DONE]"}:
                    continue
                printed = json.loads(data)
                if "error" in printed:
                    status = int(curl.stderr.read())
                    raise CurlError(printed["error"], status if curl.wait() == _HTTP_ERROR else None)
                yield printed
        except GeneratorExit:
            curl.terminate()
            raise


def _usage(answer: Any) -> tuple[int, int]:
    return answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]


CLIENT: Client = Curl()
