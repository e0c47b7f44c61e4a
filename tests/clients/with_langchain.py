"""LangChain's ``ChatOpenAI``: calls that wait, and streams that block."""

from collections.abc import AsyncGenerator
from typing import Any

from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from wanted import Client, Endpoint, Part


class LangChain:
    """``ChatOpenAI``, one object a language."""

    async def ask(self, endpoint: Endpoint, text: str, target: str) -> Part:
        """Have ``text`` translated."""
        return _part(await _chat(endpoint, target).ainvoke(text))

    async def stream(self, endpoint: Endpoint, text: str, target: str) -> AsyncGenerator[Part, None]:
        """Have ``text`` translated bit by bit."""
        for chunk in _chat(endpoint, target).stream(text):
            yield _part(chunk)


def _chat(endpoint: Endpoint, target: str) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=endpoint.url,
        api_key=SecretStr(endpoint.key),
        model=endpoint.model,
        extra_body={"target_lang": target},
        stream_usage=True,
        max_retries=0,
    )


def _part(message: Any) -> Part:
    usage = message.usage_metadata
    return Part(
        message.text,
        message.response_metadata.get("finish_reason"),
        usage and (usage["input_tokens"], usage["output_tokens"]),
    )


CLIENT: Client = LangChain()
