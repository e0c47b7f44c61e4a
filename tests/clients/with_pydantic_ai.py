"""Pydantic AI: an agent without tools."""

from collections.abc import AsyncGenerator
from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from pydantic_ai.providers.openai import OpenAIProvider
from wanted import Client, Endpoint, Part


class PydanticAI:
    """``Agent``, one object a language."""

    async def ask(self, endpoint: Endpoint, text: str, target: str) -> Part:
        """Have ``text`` translated."""
        result = await _agent(endpoint, target).run(text)
        return Part(result.output, result.response.finish_reason, _usage(result.usage))

    async def stream(self, endpoint: Endpoint, text: str, target: str) -> AsyncGenerator[Part, None]:
        """Have ``text`` translated bit by bit."""
        async with _agent(endpoint, target).run_stream(text) as result:
            async for delta in result.stream_text(delta=True, debounce_by=None):
                yield Part(delta)
            yield Part(finish_reason=result.response.finish_reason, usage=_usage(result.usage))


def _agent(endpoint: Endpoint, target: str) -> Agent:
    connected = AsyncOpenAI(base_url=endpoint.url, api_key=endpoint.key, max_retries=0)
    return Agent(
        OpenAIChatModel(endpoint.model, provider=OpenAIProvider(openai_client=connected)),
        model_settings=OpenAIChatModelSettings(extra_body={"target_lang": target}),
    )


def _usage(usage: Any) -> tuple[int, int]:
    return (usage.input_tokens, usage.output_tokens)


CLIENT: Client = PydanticAI()
