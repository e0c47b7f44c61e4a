"""The naive way: FastAPI and Mangum as a tutorial puts them together, the model loaded when the module is imported."""

import os
import time
import uuid

import ctranslate2
import sentencepiece
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

FOLDER = os.environ["MODEL_PATH"]
NLLB = "TARGET_PREFIX" in os.environ

app = FastAPI()
translator = ctranslate2.Translator(FOLDER)
tokenizer = sentencepiece.SentencePieceProcessor(model_file=f"{FOLDER}/{os.environ['TOKENIZER']}")


class Message(BaseModel):
    """A message of the conversation."""

    role: str
    content: str


class ChatCompletionRequest(BaseModel):
    """What is asked."""

    model: str
    messages: list[Message]
    source_lang: str
    target_lang: str
    max_completion_tokens: int = 256


class Choice(BaseModel):
    """An answer."""

    index: int = 0
    message: Message
    finish_reason: str = "stop"


class ChatCompletion(BaseModel):
    """What is answered."""

    id: str
    object: str = "chat.completion"
    created: int
    model: str
    choices: list[Choice]


@app.post("/v1/chat/completions")
def create_chat_completion(request: ChatCompletionRequest) -> ChatCompletion:
    """Translate the last message."""
    pieces = tokenizer.encode(request.messages[-1].content, out_type=str)
    [result] = translator.translate_batch(
        [[request.source_lang, *pieces, "</s>"] if NLLB else [*pieces, "</s>"]],
        target_prefix=[[request.target_lang]] if NLLB else None,
        beam_size=1,
        # As many steps as the function makes: one more than asked for shows whether the answer would end there.
        max_decoding_length=request.max_completion_tokens + 1 + NLLB,
    )
    text = tokenizer.decode_pieces(result.hypotheses[0][NLLB:])
    return ChatCompletion(
        id=f"chatcmpl-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=request.model,
        choices=[Choice(message=Message(role="assistant", content=text))],
    )


handler = Mangum(app)
