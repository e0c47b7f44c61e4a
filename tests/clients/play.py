"""Puts one client through everything a client does, and reports what it got.

    python play.py MODULE

runs in the environment of the client that MODULE, beside this file, knows how to use as ``CLIENT``. The job is JSON on
standard input, the report JSON on standard output. Needs the standard library alone.
"""

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from loopback import Guard
from wanted import Client, Endpoint, Part


async def play(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """Return the report of one client."""
    questions = job["questions"]
    # As many threads as calls, for clients that block.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(len(questions)))
    here = Endpoint(job["url"], job["key"], job["model"])
    text, target = questions[0]
    streamed: list[Part] = []
    cut: list[Part] = []
    return {
        "plain": asdict(await client.ask(here, text, target)),
        "streamed_error": await _failure(_read(client, here, job["text"], target, streamed)),
        "streamed": [asdict(part) for part in streamed],
        "errors": {
            "model": await _failure(client.ask(Endpoint(job["url"], job["key"], "gpt-5"), text, target)),
            "language": await _failure(client.ask(here, text, "klingon")),
            "key": await _failure(client.ask(Endpoint(job["url"], "sk-wrong", job["model"]), text, target)),
            "stream": await _failure(_read(client, here, text, "klingon", [])),
        },
        "cut_error": await _failure(
            _read(client, Endpoint(job["hurried_url"], job["key"], job["model"]), job["long"], target, cut)
        ),
        "cut": [asdict(part) for part in cut],
        "left": await _leave(client, here, job["long"], target),
        "parallel": [
            answer.text for answer in await asyncio.gather(*(client.ask(here, *question) for question in questions))
        ],
    }


async def _read(client: Client, endpoint: Endpoint, text: str, target: str, parts: list[Part]) -> None:
    """Read a stream; what has come when it fails is in ``parts``."""
    async with aclosing(client.stream(endpoint, text, target)) as stream:
        async for part in stream:
            parts.append(part)  # noqa: PERF401 - a list of all would be lost with the error


async def _leave(client: Client, endpoint: Endpoint, text: str, target: str) -> str:
    """Return the first text of a stream that is closed then."""
    async with aclosing(client.stream(endpoint, text, target)) as stream:
        async for part in stream:
            if part.text:
                return part.text
    return ""


async def _failure(work: Awaitable[object]) -> dict[str, Any] | None:
    """Return what a program can tell of the error that ``work`` ends with."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        body = getattr(error, "body", None)
        told = body if isinstance(body, dict) else {}
        return {
            "name": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "code": told.get("code"),
            "param": told.get("param"),
            "message": str(error),
        }
    return None


def main(module: str) -> None:
    """Do the job with the client of ``module``; whatever its package does when it is imported is watched too."""
    guard = Guard()
    guard.install()
    client: Client = importlib.import_module(module).CLIENT
    report = asyncio.run(play(client, json.load(sys.stdin)))
    print(json.dumps(report | {"reached": sorted(guard.reached), "refused": sorted(guard.refused)}))


if __name__ == "__main__":
    main(sys.argv[1])
