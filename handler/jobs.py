"""One request on its way through the queue and the engine, within its time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

from starlette.types import Scope

from handler.cancellation import Cancellation
from handler.catalog import ModelSpec
from handler.decoding_options import DecodingOptions
from handler.engine import Engine, OnText, Translation
from handler.errors import AbandonedError
from handler.models import ModelManager
from handler.prompts import Named, Prompt, nllb_prompt, t5_prompt
from handler.schemas import ChatCompletionRequest
from handler.settings import Settings
from handler.telemetry import RequestRecord, logger
from handler.workers import Place, Workers

_MARGIN_S = 0.5
"""Of a Lambda function's time, left to answer that it is over: Lambda ends the environment without an answer."""

_Timings = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request whose model and options are known."""

    body: ChatCompletionRequest
    spec: ModelSpec
    suffix: Named | None
    options: DecodingOptions
    models: ModelManager
    workers: Workers
    settings: Settings
    record: RequestRecord
    deadline_s: float
    """By the clock of ``time.monotonic``."""
    _cancellation: Cancellation = field(default_factory=Cancellation)

    @property
    def name(self) -> str:
        """The model as it was asked for."""
        return self.body.model or self.spec.id

    def left_s(self) -> float:
        """Return the seconds that are left."""
        return max(0.0, self.deadline_s - monotonic())

    def give_up(self) -> None:
        """Let what may still run end: nobody waits for it."""
        self._cancellation.cancel()

    async def run(
        self, on_text: OnText | None = None, on_timings: Callable[[_Timings], None] | None = None
    ) -> tuple[Engine, Translation]:
        """Wait for a place, the model and a thread, and translate.

        Args:
            on_text: Gets the text while it is decoded; called in another thread.
            on_timings: Gets what took how many milliseconds before any text is decoded; called in another thread.
        """
        with self.workers.place() as place, self.models.used(self.spec, place.when_idle):
            engine = await self.models.engine(self.spec)
            self.record.timings_ms |= self.models.first_use_timings(self.spec)
            answer = partial(self._answer, engine, place, on_text, on_timings or (lambda _: None))
            prompt, translation, queue_ms = await place.run(answer)
        self.record.timings_ms |= {
            "queue": queue_ms + translation.waited_ms,
            "tokenize": translation.tokenize_ms,
            "translate": translation.translate_ms,
        }
        self.record.fields |= _log_fields(prompt, translation, with_texts=self.settings.log_texts)
        return engine, translation

    def _answer(
        self,
        engine: Engine,
        place: Place,
        on_text: OnText | None,
        on_timings: Callable[[_Timings], None],
        queue_ms: float,
    ) -> tuple[Prompt, Translation, float]:
        """Do everything that takes time; runs in a worker thread, for which it has waited ``queue_ms``."""
        if self._cancellation.cancelled:
            raise AbandonedError
        prompt = self._prompt(engine)

        def on_start(tokenize_ms: float, waited_ms: float) -> None:
            on_timings({"queue": queue_ms + waited_ms, "tokenize": tokenize_ms})

        try:
            translation = engine.translate(
                prompt.text,
                source_lang=prompt.source_lang,
                target_lang=prompt.target_lang,
                options=self.options,
                max_prompt_tokens=self.settings.max_prompt_tokens,
                cancellation=self._cancellation,
                on_start=on_start,
                on_taken=place.begin,
                on_text=on_text,
            )
        except Exception as error:
            if self._cancellation.cancelled and not isinstance(error, AbandonedError):
                logger.error("a request that was given up has failed", exc_info=error)
            raise
        return prompt, translation, queue_ms

    def _prompt(self, engine: Engine) -> Prompt:
        if engine.family == "t5":
            return t5_prompt(self.body)
        return nllb_prompt(
            self.body,
            suffix=self.suffix,
            default_source=self.spec.source_lang,
            default_target=self.spec.target_lang,
            deployed=engine.languages,
        )


def deadline_s(scope: Scope, record: RequestRecord, *, limit_s: float) -> float:
    """Return when a request is to be stopped, by the clock of ``time.monotonic``.

    Args:
        scope: Of the request; Mangum puts Lambda's context there, which knows when the invocation ends.
        record: Knows when the request came.
        limit_s: Seconds that one may take.
    """
    deadline = record.started_s + limit_s
    left = getattr(scope.get("aws.context"), "get_remaining_time_in_millis", None)
    return deadline if left is None else min(deadline, monotonic() + left() / 1e3 - _MARGIN_S)


def _log_fields(prompt: Prompt, translation: Translation, *, with_texts: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "prompt_tokens": translation.prompt_tokens,
        "completion_tokens": sum(choice.completion_tokens for choice in translation.choices),
    }
    if prompt.target_lang:
        fields |= {"source_lang": prompt.source_lang, "target_lang": prompt.target_lang}
    if with_texts:
        fields |= {"source_text": prompt.text, "answers": [choice.text for choice in translation.choices]}
    return fields
