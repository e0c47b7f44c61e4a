"""A whole document: every sentence right, and all around them as it was."""

import json

import pytest
from conftest import Server
from documents import DIRECTION, SENTENCES, Document, document

LANGUAGES = dict(zip(("source_lang", "target_lang"), DIRECTION, strict=True))


@pytest.fixture(scope="module", name="given")
def fixture_given() -> Document:
    """Three hundred sentences."""
    return document()


def test_the_document_has_as_many_sentences_as_it_says(given: Document) -> None:
    """All of them different, each once in the text and its translation once in the other."""
    assert len({source for source, _ in given.sentences}) == SENTENCES
    assert all(source in given.text and target in given.translation for source, target in given.sentences)
    assert given.text.count("\n") == given.translation.count("\n") > SENTENCES / 2


@pytest.mark.parametrize("beam_size", [1, 4], ids=["greedy", "beam"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_document_comes_back_right_and_in_its_layout(
    server: Server, given: Document, beam_size: int, *, stream: bool
) -> None:
    """Three hundred sentences in paragraphs, lists, quotes and tables."""
    answer = server.chat(given.text, beam_size=beam_size, stream=stream, **LANGUAGES)

    assert answer.status == 200
    assert (_streamed(answer.body) if stream else answer.json()["choices"][0]["message"]["content"]) == (
        given.translation
    )


def _streamed(body: bytes) -> str:
    *events, end = body.decode().removesuffix("\n\n").split("\n\n")
    assert end == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
