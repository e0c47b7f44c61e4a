"""LiteLLM: whole answers awaited and streamed ones not, since it has code of its own for either."""

from collections.abc import AsyncGenerator
from contextlib import closing
from typing import Any

import litellm
from wanted import Client, Endpoint, Part

litellm.telemetry = False
litellm.suppress_debug_info = True  # which would go where the report goes


class LiteLLM:
    """``litellm.acompletion`` and ``litellm.completion``."""

    async def ask(self, endpoint: Endpoint, text: str, target: str) -> Part:
        """Have ``text`` translated."""
        completion = await litellm.acompletion(**_arguments(endpoint, text, target))
        [choice] = completion.choices
        return Part(choice.message.content, choice.finish_reason, _usage(completion))

    async def stream(self, endpoint: Endpoint, text: str, target: str) -> AsyncGenerator[Part, None]:
        """Have ``text`` translated bit by bit."""
        arguments = _arguments(endpoint, text, target)
        with closing(litellm.completion(**arguments, stream=True, stream_options={"include_usage": True})) as chunks:
            for chunk in chunks:
                for choice in chunk.choices:
                    yield Part(choice.delta.content or "", choice.finish_reason)
                if usage := _usage(chunk):
                    yield Part(usage=usage)


def _arguments(endpoint: Endpoint, text: str, target: str) -> dict[str, Any]:
    return {
        "model": f"openai/{endpoint.model}",
        "api_base": endpoint.url,
        "api_key": endpoint.key,
        "messages": [{"role": "user", "content": text}],
        "extra_body": {"target_lang": target},
        "max_retries": 0,
    }


def _usage(answer: Any) -> tuple[int, int] | None:
    usage = getattr(answer, "usage", None)
    return (usage.prompt_tokens, usage.completion_tokens) if usage else None


CLIENT: Client = LiteLLM()
