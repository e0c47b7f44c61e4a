"""FastAPI and Mangum around the server's engine and nothing else: for ``overhead.py``.

A route in a thread of its own, so that the event loop is not blocked, and models of the request and the answer; no ids,
no log, no time limit, no parameters.
"""

import asyncio

from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

from handler.composition import compose
from handler.decoding_options import DecodingOptions
from handler.settings_sources import load_settings

MODELS = compose(load_settings(), wait=True, one_at_a_time=True).state.models
ENGINE = asyncio.run(MODELS.engine(MODELS.default))
OPTIONS = DecodingOptions(beam_size=MODELS.default.beam_size)

app = FastAPI()


class Message(BaseModel):
    """A message of the conversation."""

    role: str
    content: str


class Request(BaseModel):
    """What is asked."""

    model: str
    messages: list[Message]
    source_lang: str
    target_lang: str


class Choice(BaseModel):
    """An answer."""

    message: Message


class Answer(BaseModel):
    """What is answered."""

    choices: list[Choice]


@app.post("/v1/chat/completions")
def create_chat_completion(request: Request) -> Answer:
    """Translate the only message."""
    translation = ENGINE.translate(
        request.messages[0].content,
        source_lang=request.source_lang,
        target_lang=request.target_lang,
        options=OPTIONS,
    )
    message = Message(role="assistant", content=translation.choices[0].text)
    return Answer(choices=[Choice(message=message)])


handler = Mangum(app, lifespan="off")
