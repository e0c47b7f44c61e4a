"""What the engine answered as OpenAI's objects: a whole completion, and the chunks of a streamed one."""

import secrets
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any

from handler.engine import Translation
from handler.logprobs import TokenScore

JsonObject = dict[str, Any]

_PADDED_BYTES = 32
"""Text and padding of a chunk have a multiple of this where a client asks for obfuscation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What all objects of one answer share."""

    model: str
    """As it was asked for."""
    fingerprint: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time()))
    """Unix seconds."""

    def whole(self, translation: Translation) -> JsonObject:
        """Return the answer in one object."""
        logprobs = translation.logprobs or [None] * len(translation.choices)
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [
                {
                    "index": index,
                    "message": {"role": "assistant", "content": choice.text, "refusal": None},
                    "logprobs": None if scores is None else _logprobs(scores),
                    "finish_reason": choice.finish_reason,
                }
                for index, (choice, scores) in enumerate(zip(translation.choices, logprobs, strict=True))
            ],
            "usage": usage(translation),
            "system_fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """Makes the chunks of one streamed answer."""

    completion: Completion
    with_usage: bool = False
    """Whether the last chunk tells the usage; then every other says that it does not."""
    obfuscated: bool = False
    """Whether chunks are padded, so that their lengths tell less of the text to who sees encrypted traffic."""

    def begin(self, choices: int) -> Iterator[JsonObject]:
        """Yield the chunks that name the role, one for each choice."""
        for index in range(choices):
            yield self._chunk(index, {"role": "assistant", "content": "", "refusal": None})

    def text(self, index: int, text: str) -> JsonObject:
        """Return the chunk with further text of a choice."""
        return self._chunk(index, {"content": text})

    def end(self, translation: Translation) -> Iterator[JsonObject]:
        """Yield the chunks that tell how each choice ended, and the usage if it is wanted."""
        for index, choice in enumerate(translation.choices):
            yield self._chunk(index, {}, choice.finish_reason)
        if self.with_usage:
            yield self._object([]) | {"usage": usage(translation)}

    def _chunk(self, index: int, delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = self._object([choice])
        if self.with_usage:
            chunk["usage"] = None
        if self.obfuscated:
            missing = -len(delta.get("content", "").encode()) % _PADDED_BYTES
            chunk["obfuscation"] = secrets.token_urlsafe(_PADDED_BYTES)[:missing]
        return chunk

    def _object(self, choices: list[JsonObject]) -> JsonObject:
        return {
            "id": self.completion.id,
            "object": "chat.completion.chunk",
            "created": self.completion.created,
            "model": self.completion.model,
            "choices": choices,
            "system_fingerprint": self.completion.fingerprint,
        }


def usage(translation: Translation) -> JsonObject:
    """Return what an answer cost, every choice counted."""
    completion_tokens = sum(choice.completion_tokens for choice in translation.choices)
    return {
        "prompt_tokens": translation.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": translation.prompt_tokens + completion_tokens,
    }


def _logprobs(scores: Sequence[TokenScore]) -> JsonObject:
    entries = [
        {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": []}
        for text, logprob in scores
    ]
    return {"content": entries, "refusal": None}
