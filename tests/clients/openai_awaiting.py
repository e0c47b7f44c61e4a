"""OpenAI's client for Python, awaited; parallel calls share one."""

from collections.abc import AsyncGenerator
from functools import cache

from openai import AsyncOpenAI
from openai.types import CompletionUsage
from wanted import Client, Endpoint, Part


class OpenAIAwaiting:
    """``openai.AsyncOpenAI``."""

    async def ask(self, endpoint: Endpoint, text: str, target: str) -> Part:
        """Have ``text`` translated."""
        completion = await _connected(endpoint.url, endpoint.key).chat.completions.create(
            model=endpoint.model,
            messages=[{"role": "user", "content": text}],
            extra_body={"target_lang": target},
        )
        [choice] = completion.choices
        return Part(choice.message.content or "", choice.finish_reason, _usage(completion.usage))

    async def stream(self, endpoint: Endpoint, text: str, target: str) -> AsyncGenerator[Part, None]:
        """Have ``text`` translated bit by bit."""
        async with await _connected(endpoint.url, endpoint.key).chat.completions.create(
            model=endpoint.model,
            messages=[{"role": "user", "content": text}],
            extra_body={"target_lang": target},
            stream=True,
            stream_options={"include_usage": True},
        ) as chunks:
            async for chunk in chunks:
                for choice in chunk.choices:
                    yield Part(choice.delta.content or "", choice.finish_reason)
                if chunk.usage:
                    yield Part(usage=_usage(chunk.usage))


@cache
def _connected(url: str, key: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=url, api_key=key, max_retries=0)


def _usage(usage: CompletionUsage | None) -> tuple[int, int] | None:
    return (usage.prompt_tokens, usage.completion_tokens) if usage else None


CLIENT: Client = OpenAIAwaiting()
