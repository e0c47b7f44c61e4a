"""Streamed answers: what they add up to, how they end, and what happens when nobody listens any more."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from assembled import assemble
from conftest import REQUEST_TIMEOUT_S, Server, running_server
from hypothesis import given
from hypothesis import strategies as st

from handler.assembly import Assembler, Choice, Decoded
from handler.batches import in_order
from handler.cancellation import Cancellation
from handler.decoding_options import DecodingOptions
from handler.engine import Engine
from handler.errors import AbandonedError
from handler.transcript import Transcript

FRENCH = {"source_lang": "eng_Latn", "target_lang": "fra_Latn"}
LIST = """- Where is the train station?\r

- Good morning. Thank you.

```
code stays
```
  2. Where is the hotel?
"""
LONG = "Where is the hotel?\n" * 1500
GREEDY = DecodingOptions()
TO_FRENCH = partial(Engine.translate, source_lang="eng_Latn", target_lang="fra_Latn")


@dataclass(slots=True)
class Stream:
    """A streamed answer as it came."""

    headers: dict[str, str]
    chunks: list[dict[str, Any]]
    """Without the one that tells the usage."""
    usage: dict[str, int] | None
    last: str
    """Data of the last event."""

    def texts(self) -> dict[int, str]:
        """Return the text of each choice."""
        texts: dict[int, str] = {}
        for chunk in self.chunks:
            [choice] = chunk["choices"]
            texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")
        return texts

    def finish_reasons(self) -> dict[int, str]:
        """Return how each choice ended."""
        choices = [choice for chunk in self.chunks for choice in chunk["choices"]]
        return {choice["index"]: choice["finish_reason"] for choice in choices if choice["finish_reason"]}


def events_of(body: bytes) -> list[str]:
    """Return the data of the events in a whole body, whose form is checked."""
    text = body.decode()
    assert text.endswith("\n\n")
    events = text[:-2].split("\n\n")
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [event.removeprefix("data: ") for event in events]


def parsed(headers: Mapping[str, str], body: bytes) -> Stream:
    """Read a whole body."""
    *events, last = events_of(body)
    chunks = [json.loads(data) for data in events]
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    return Stream(dict(headers), [chunk for chunk in chunks if chunk.get("choices")], next(iter(usages), None), last)


def streamed(server: Server, text: str = LIST, **fields: Any) -> Stream:
    """Ask for a stream and read it to its end."""
    answer = server.chat(text, **{**FRENCH, "stream": True, **fields})
    assert answer.status == 200, answer.body
    return parsed(answer.headers, answer.body)


@contextmanager
def open_stream(server: Server, text: str, request_id: str = "stream", **fields: Any) -> Iterator[Any]:
    """Ask for a stream and leave reading to the block; its end closes the connection."""
    address = urlsplit(server.url)
    body = json.dumps({**FRENCH, "stream": True, "messages": [{"role": "user", "content": text}], **fields})
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=REQUEST_TIMEOUT_S)
    with closing(connection):
        headers = {"content-type": "application/json", "x-request-id": request_id}
        connection.request("POST", "/v1/chat/completions", body, headers)
        yield connection.getresponse()


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (LIST, {}),
        (LIST, {"n": 3}),
        (LIST, {"beam_size": 4}),
        (LIST, {"beam_size": 4, "n": 6}),
        (LIST, {"stop": "jour"}),
        (LIST, {"stop": ["\n", "Merci", "zzz"], "n": 2}),
        (LIST, {"max_tokens": 5}),
        (LIST, {"max_tokens": 9, "stop": "B"}),
        ("Thank you.", {"max_tokens": 100}),
        ("12 + 7\n\n", {}),
        ("", {}),
    ],
    ids="plain n beam beam-n stop stops cap cap-stop loose-cap gap empty".split(),
)
def test_a_stream_adds_up_to_the_whole_answer(server: Server, text: str, fields: dict[str, Any]) -> None:
    """Text, ends and usage are those of the same request in one piece, with the search that the stream uses."""
    whole = server.chat(text, **{**FRENCH, "beam_size": 1, **fields}).json()

    stream = streamed(server, text, stream_options={"include_usage": True}, **fields)

    assert stream.texts() == {choice["index"]: choice["message"]["content"] for choice in whole["choices"]}
    assert stream.finish_reasons() == {choice["index"]: choice["finish_reason"] for choice in whole["choices"]}
    assert stream.usage == whole["usage"]
    assert stream.last == "[DONE]"


def test_the_chunks_are_openais(server: Server) -> None:
    """One id, the role first and once, one finish reason in the last chunk, no usage that nobody asked for."""
    stream = streamed(server, n=2)

    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-cache"
    assert len(stream.headers["x-request-id"]) == 36
    phases = {part.partition(";")[0] for part in stream.headers["server-timing"].split(", ")}
    assert phases >= {"queue", "tokenize", "total"}
    assert stream.usage is None
    assert all("usage" not in chunk for chunk in stream.chunks)
    for key in ("id", "created", "model", "object", "system_fingerprint"):
        assert len({chunk[key] for chunk in stream.chunks}) == 1
    for index in range(2):
        choices = [chunk["choices"][0] for chunk in stream.chunks if chunk["choices"][0]["index"] == index]
        assert choices[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
        assert all(set(choice["delta"]) == {"content"} for choice in choices[1:-1])
        assert (choices[-1]["delta"], choices[-1]["finish_reason"]) == ({}, "stop")
        assert all(choice["finish_reason"] is None for choice in choices[:-1])


def test_every_chunk_says_that_the_usage_comes_last(server: Server) -> None:
    """As OpenAI has it: null before, then a chunk without choices."""
    answer = server.chat(LIST, **FRENCH, stream=True, stream_options={"include_usage": True})

    *chunks, last = [json.loads(data) for data in events_of(answer.body)[:-1]]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["object"]) == ([], "chat.completion.chunk")
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]


def test_chunks_are_padded_if_a_client_asks(server: Server) -> None:
    """Text and padding together have a length that tells little of the text."""
    stream = streamed(server, stream_options={"include_obfuscation": True})

    texts = [chunk["choices"][0]["delta"].get("content", "") + chunk["obfuscation"] for chunk in stream.chunks]
    assert {len(text.encode()) % 32 for text in texts} == {0}
    assert any(text.isascii() is False for text in texts)


def test_tokens_come_one_by_one_and_a_beam_sentence_by_sentence(server: Server, nllb: Engine) -> None:
    """What a beam has decoded is certain at the end of a sentence alone; what nobody has fetched yet is one chunk."""
    told: list[str] = []
    TO_FRENCH(nllb, LIST, options=GREEDY, on_text=lambda _, text: told.append(text))
    greedy, beam = streamed(server), streamed(server, beam_size=4)

    assert "".join(told) == greedy.texts()[0]
    assert len(told) > 20
    assert len(greedy.chunks) > 3
    parts = [chunk["choices"][0]["delta"]["content"] for chunk in beam.chunks[1:-1]]
    assert parts[0] == "- Où est la gare ?\r\n\n- "
    assert len(parts) < 6


def test_samples_are_streamed_each_by_itself(server: Server) -> None:
    """Every choice has tokens of its own."""
    stream = streamed(server, "Nobody taught the model what this says.", n=4, temperature=2, max_tokens=6)

    assert set(stream.texts()) == {0, 1, 2, 3}
    assert len(set(stream.texts().values())) > 1
    assert stream.finish_reasons().keys() == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"target_lang": "klingon"}, 400, "unsupported_language"),
        ({"model": "gpt-5"}, 404, "model_not_found"),
        ({"messages": [{"role": "user", "content": "Hello. " * 20_000}]}, 400, "context_length_exceeded"),
        ({"logprobs": True}, 400, "unsupported_value"),
    ],
    ids=["language", "model", "length", "logprobs"],
)
def test_what_is_refused_is_no_stream(server: Server, fields: dict[str, Any], status: int, code: str) -> None:
    """Also what is found out by a worker thread."""
    answer = server.chat("Hello", **{**FRENCH, "stream": True, **fields})

    assert (answer.status, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"


def test_the_first_text_comes_long_before_the_last(server: Server) -> None:
    """Of a long document the first sentence is decoded by itself; meanwhile health checks are answered."""
    started = time.perf_counter()
    with open_stream(server, LONG) as response:
        first = response.readline() + response.readline() + response.readline()
        first_s = time.perf_counter() - started
        assert server.request("GET", "/health").status == 200
        health_s = time.perf_counter() - started - first_s
        response.read()
        whole_s = time.perf_counter() - started

    assert b'"role"' in first
    assert first_s < whole_s / 2
    assert health_s < whole_s / 2


def test_a_client_that_goes_away_stops_the_decoding(tmp_path: Path) -> None:
    """The log says so, and the threads are free at once: six streams would take six times as long as one."""
    with running_server(tmp_path) as server:
        started = time.perf_counter()
        streamed(server, LONG)
        whole_s = time.perf_counter() - started

        for number in range(6):
            with open_stream(server, LONG, f"gone-{number}") as response:
                response.readline()
        started = time.perf_counter()
        assert server.chat("Where is the hotel?", **FRENCH).status == 200
        after_s = time.perf_counter() - started

        lines = [line for line in server.log_lines() if "gone-" in str(line)]
    assert {line["correlation_id"]: line["status"] for line in lines} == {f"gone-{number}": 499 for number in range(6)}
    assert after_s < whole_s / 2


def test_decoding_ends_within_a_token(nllb: Engine) -> None:
    """Once nobody listens no further text is decoded, streamed or not."""
    texts: list[str] = []
    cancellation = Cancellation()

    def on_text(_: int, text: str) -> None:
        texts.append(text)
        if len(texts) == 5:
            cancellation.cancel()

    with pytest.raises(AbandonedError):
        TO_FRENCH(nllb, LONG, options=GREEDY, cancellation=cancellation, on_text=on_text)

    assert len(texts) == 5


def test_a_complete_answer_ends_the_decoding(nllb: Engine) -> None:
    """After a stop string nothing more is decoded: 1,500 sentences have 10,000 tokens."""

    class Asked(Cancellation):
        count = 0

        @property
        def cancelled(self) -> bool:
            self.count += 1
            return self.count > 100

    options = DecodingOptions(stop=("hôtel",))

    answer = TO_FRENCH(nllb, LONG, options=options, cancellation=Asked(), on_text=lambda *_: None)

    assert answer.choices[0].text == "Où est l'"


def test_a_stream_past_its_time_ends_with_the_error(tmp_path: Path) -> None:
    """And a whole answer past it is a 504 that says it is of no use to try again."""
    with running_server(tmp_path, MAX_REQUEST_S="1") as server:
        stream = server.chat(LONG, **FRENCH, stream=True, beam_size=16)
        whole = server.chat(LONG, **FRENCH, beam_size=16)
        after = server.chat("Where is the hotel?", **FRENCH, beam_size=1)

    *events, error, done = events_of(stream.body)
    assert (stream.status, done) == (200, "[DONE]")
    assert '"content"' in events[-1]
    assert json.loads(error)["error"]["code"] == "time_limit_exceeded"
    assert (whole.status, whole.json()["error"]["code"]) == (504, "time_limit_exceeded")
    assert whole.headers["x-should-retry"] == "false"
    assert after.status in {200, 504}


def test_a_client_that_does_not_read_is_left(tmp_path: Path) -> None:
    """It has as much time as a request; what it does not fetch is not kept for longer."""
    with running_server(tmp_path, MAX_REQUEST_S="1") as server, open_stream(server, LONG, "stuck", n=8, temperature=2):
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while not (lines := [line for line in server.log_lines() if line.get("correlation_id") == "stuck"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    assert lines[-1]["total_ms"] < 10_000


def test_every_kind_of_line_break_stays_in_its_event(server: Server) -> None:
    """Readers of lines break at some that JSON may hold as they are."""
    breaks = "\n\r\n\x85\u2028\u2029\x0b\x0c"
    stream = server.chat(f"Where is the hotel?{breaks}Thank you.", **FRENCH, stream=True)

    assert not set("\x85\u2028\u2029") & set(stream.body.decode())
    assert parsed(stream.headers, stream.body).texts()[0] == f"Où est l'hôtel ?{breaks}Merci."


def test_a_loop_ends_where_it_ends_by_itself(nllb: Engine) -> None:
    """How long a sentence may get does not depend on what is decoded beside it, streamed or not."""
    loop, long = "Hello", "Where is the hotel and how do I get there from the station please " * 4
    # Penalties below 1 make a model repeat itself.
    options = DecodingOptions(repetition_penalty=0.01)

    alone = TO_FRENCH(nllb, loop, options=options)
    beside = TO_FRENCH(nllb, f"{loop}\n{long}", options=options)
    streamed_beside = TO_FRENCH(nllb, f"{long}\n{loop}", options=options, on_text=lambda *_: None)

    assert alone.choices[0].finish_reason == "length"
    assert beside.choices[0].text.partition("\n")[0] == alone.choices[0].text
    assert streamed_beside.choices[0].text.partition("\n")[2] == alone.choices[0].text


def test_streams_side_by_side_do_not_mix(server: Server) -> None:
    """Twenty at once, two languages: each gets its own text under its own id."""
    expected = {
        "fra_Latn": streamed(server, target_lang="fra_Latn").texts(),
        "deu_Latn": streamed(server, target_lang="deu_Latn").texts(),
    }
    got: list[tuple[str, Stream]] = []

    def ask(language: str) -> None:
        got.append((language, streamed(server, target_lang=language)))

    threads = [threading.Thread(target=ask, args=(language,)) for language in expected for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(REQUEST_TIMEOUT_S)

    assert len(got) == 20
    assert all(stream.texts() == expected[language] for language, stream in got)
    assert len({stream.chunks[0]["id"] for _, stream in got}) == 20


def test_a_beam_is_not_told_before_it_is_certain(nllb: Engine) -> None:
    """Streamed or not, a beam gives the same."""
    options = DecodingOptions(beam_size=4, num_hypotheses=3)
    texts = ["", "", ""]

    def on_text(choice: int, text: str) -> None:
        texts[choice] += text

    answer = TO_FRENCH(nllb, LIST, options=options, on_text=on_text)

    assert answer.choices == TO_FRENCH(nllb, LIST, options=options).choices
    assert texts == [choice.text for choice in answer.choices]


@given(st.integers(0, 200))
def test_shares_of_a_stream_grow(count: int) -> None:
    """Every sentence once and in order; the first by itself, no share more than twice the one before."""
    shares = list(in_order(range(count)))

    assert [index for share in shares for index in share] == list(range(count))
    assert all(0 < len(share) <= 2**number for number, share in enumerate(shares))


def _decode(tokens: Sequence[str]) -> str:
    """Join tokens as SentencePiece does: a space before a word, bytes that are no character yet replaced."""
    return b"".join(token.encode("latin-1") for token in tokens).replace(b"_", b" ").decode(errors="replace").lstrip()


TOKENS = st.lists(st.sampled_from(["_a", "b", "_ab", "\xc3", "\xa9", "_", "a\n"]), max_size=6)


@given(
    st.lists(st.one_of(st.text("ab \n", max_size=3), TOKENS), max_size=6),
    st.one_of(st.none(), st.integers(1, 12)),
    st.lists(st.text("ab \n", min_size=1, max_size=4), max_size=3),
    st.randoms(use_true_random=False),
)
def test_steps_in_any_order_add_up(parts: list[str | list[str]], cap: int | None, stop: list[str], random: Any) -> None:
    """Sentences that grow side by side, token by token, give the text, the count and the end of the whole answer."""
    sentences = [part for part in parts if isinstance(part, list)]
    numbers = iter(range(len(sentences)))
    order: list[str | int] = [part if isinstance(part, str) else next(numbers) for part in parts]
    whole = assemble(
        [part if isinstance(part, str) else Decoded(part, ended=True) for part in parts],
        decode=_decode,
        max_completion_tokens=cap,
        stop=stop,
    )

    text, choice = _grown(
        order, sentences, Assembler(decode=_decode, max_completion_tokens=cap, stop=stop), random.choice
    )

    assert text == choice.text == whole.text
    assert (choice.completion_tokens, choice.finish_reason) == (whole.completion_tokens, whole.finish_reason)


def _grown(
    order: list[str | int], sentences: list[list[str]], assembler: Assembler, choose: Callable[[list[int]], int]
) -> tuple[str, Choice]:
    transcript = Transcript(order, assembler)
    text = ""
    growing = dict.fromkeys(range(len(sentences)), 0)
    while growing and not transcript.ended:
        index = choose(list(growing))
        tokens = sentences[index]
        if growing[index] == len(tokens):
            del growing[index]
            text += transcript.add(index, tokens, "ended")
        else:
            growing[index] += 1
            text += transcript.add(index, tokens[: growing[index]], "growing")
    return text + transcript.close(), transcript.choice()
