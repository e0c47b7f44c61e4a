"""Random and mutated input for all that reads what a client sends, for as many seconds as it is told to.

``make fuzz SECONDS=600`` runs each target in turns, prints how many inputs each had, and exits with 1 at the first
that raises anything but a ``HandlerError``, breaks what must always hold, or takes too long. Hypothesis reduces that
input to a small one and prints it. ``--seed`` repeats a run as far as it went.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from assembled import assemble
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from odd_text import TEXTS

from handler.assembly import Assembler, Decoded
from handler.catalog import build_catalog
from handler.detector import detect_language
from handler.errors import HandlerError
from handler.events import is_http, is_warm_up, kind, normalized
from handler.exception_handlers import error_object
from handler.instructions import parse_system_instruction, parse_user_instruction
from handler.language_data import FLORES_200
from handler.languages import language_candidates, parse_language
from handler.parameters import decoding_options
from handler.prompts import nllb_prompt, parse_suffix, t5_prompt
from handler.request_parsing import check_content, check_supported, parse_request
from handler.schemas import ChatCompletionRequest
from handler.segmenter import cut, segment
from handler.settings import DEMO_MODELS, Settings
from handler.source import SourceEncoder
from handler.telemetry import set_log_level
from handler.tokenizer import load_tokenizer
from handler.transcript import Transcript

EXAMPLES = 200
"""Inputs of one target before it is the next one's turn."""
MOST_CPU_S = 5.0
"""Of one input: the largest are a few kilobytes, which take milliseconds."""
LARGEST_ANSWER = 20_000
"""Bytes of an error."""

CATALOG = build_catalog(Settings())
NLLB, T5 = CATALOG.models["nllb-demo"], CATALOG.models["t5-demo"]
TOKENIZERS = {
    "nllb": load_tokenizer("nllb", DEMO_MODELS / "nllb-demo" / "sentencepiece.bpe.model"),
    "t5": load_tokenizer("t5", DEMO_MODELS / "t5-demo" / "spiece.model"),
}
CONTROL = ("</s>", "<pad>", "<s>", "\u2581", "fra_Latn", "eng_Latn")


@cache
def vocabulary(model: str) -> list[str]:
    """Return every token of a demo model."""
    tokens: list[str] = json.loads((DEMO_MODELS / model / "shared_vocabulary.json").read_text(encoding="utf-8"))
    return tokens


# --- what is given ----------------------------------------------------------------------------------------------------


def weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Draw from one of several, each as often as its weight says."""
    return st.sampled_from([values for weight, values in choices for _ in range(weight)]).flatmap(lambda values: values)


NAMES = st.sampled_from([*ChatCompletionRequest.model_fields, "unknown", ""])
LANGUAGES = st.one_of(
    st.sampled_from(
        [*FLORES_200, *FLORES_200.values(), "fr", "pt-BR", "zh-Hant-TW", "auto", "sr-Latn", "x-y", "en-fr"]
    ),
    st.from_regex(r"[a-zA-Z]{1,9}([-_][a-zA-Z0-9]{0,9}){0,4}", fullmatch=True),
    TEXTS,
)
WORDS = st.sampled_from(
    "translate Translate translation translating translator translates Übersetze 请翻译成法语 把下面 you are to into "
    "in from between and native professional the a following segment sentence text Text: Source: Translation: output "
    "only without explanation French french fr English en_US Klingon Old-English Chinese (Traditional) (zh-TW) 法语 "
    ": \uff1a . \u3002 , \uff0c -> => → - \n \r\n \n\n \r \t \" ' ` ( ) { } [ ] <".split(" ")
)
KNOWN = st.sampled_from(["French", "german", "Traditional Chinese", "Portuguese (Brazil)", "fra_Latn", "de", "Klingon"])
NAMED = weighted((4, KNOWN), (1, LANGUAGES))
ORDERS = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(
        ["", " ", "Please ", "You are a professional French (fr) translator. ", "You translate French to "]
    ),
    st.sampled_from(["Translate", "translate the following text", "Translate this:", "Translation of the sentence"]),
    weighted((2, st.just("")), (1, NAMED.map(" from {}".format))),
    weighted((5, NAMED.map(" to {}".format)), (2, NAMED.map(" into {}, please".format)), (1, st.just(""))),
    st.sampled_from([": ", ":\n\n", ":", ": ", ".\n\n", "\n", ",", ""]),
    weighted((1, TEXTS), (1, TEXTS.map("Where is it? {}".format))),
)
CHINESE = st.builds(
    "请把下面的文本翻译成{}{}{}".format, st.sampled_from(["法语", "英文", "x"]) | LANGUAGES, WORDS, TEXTS
)
INSTRUCTIONS = weighted(
    (6, ORDERS),
    (2, st.tuples(ORDERS, st.sampled_from(["\nTranslation:", "\n\nFrench:", "\nOutput:"])).map("".join)),
    (1, st.lists(WORDS, max_size=30).map(" ".join)),
    (1, st.lists(WORDS, max_size=30).map("".join)),
    (1, CHINESE),
    (1, TEXTS),
)
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, 1, 2, 8, -1, 2**31, 2**63, -(2**63), 2**64, 10**400, 1e308, 5e-324])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | LANGUAGES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=4),
    max_leaves=8,
)


def mostly(plausible: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw what is meant to be there, and anything one time in twenty."""
    return weighted((19, plausible), (1, VALUES))


PARTS = st.fixed_dictionaries(
    {"type": mostly(st.just("text")), "text": mostly(INSTRUCTIONS)},
    optional={"source_lang_code": mostly(LANGUAGES), "target_lang_code": mostly(LANGUAGES)},
)
ROLES = st.sampled_from(["user", "user", "user", "system", "developer", "assistant", "tool", "function"])
MESSAGES = st.fixed_dictionaries(
    {"role": mostly(ROLES), "content": mostly(INSTRUCTIONS | st.lists(mostly(PARTS), max_size=3))},
    optional={"name": mostly(TEXTS)},
)
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["nllb-demo", "t5-demo", "nllb-demo:fra_Latn", "default", ""]),
    "stream": st.booleans(),
    "n": st.integers(1, 9),
    "max_tokens": st.integers(0, 300),
    "max_completion_tokens": st.integers(1, 300),
    "stop": st.text(min_size=1) | st.lists(st.text(min_size=1), min_size=1, max_size=5),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "frequency_penalty": st.floats(-2, 2),
    "presence_penalty": st.floats(-2, 2),
    "repetition_penalty": st.floats(0.01, 10),
    "beam_size": st.integers(1, 33),
    "source_lang": LANGUAGES | st.sampled_from(["auto", "en", "German"]),
    "target_lang": LANGUAGES | st.sampled_from(["fr", "French", "spa_Latn", "deu_Latn"]),
    "chat_template_kwargs": st.fixed_dictionaries(
        {}, optional={"source_lang_code": LANGUAGES, "target_lang_code": LANGUAGES}
    ),
    "metadata": st.dictionaries(TEXTS, TEXTS, max_size=17),
}
REQUESTS = st.tuples(
    st.fixed_dictionaries(
        {"messages": mostly(st.lists(mostly(MESSAGES), min_size=1, max_size=3))},
        optional={name: mostly(values) for name, values in PLAUSIBLE.items()},
    ),
    st.just({}) | st.just({}) | st.dictionaries(NAMES, VALUES, max_size=2),
).map(lambda parts: {**parts[0], **parts[1]})
SPLICES = (
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-0",
        b"\\ud800",
        b"\\u0000",
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ),
    *(b"[" * 500, b'{"a":' * 500, b"9" * 5000, b'"', b"\\", b"}", b"]", b",", b":", b"null", b"\xc3", b"1.0", b"0x1"),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Write a request as JSON, and damage two in five."""
    body = json.dumps(draw(REQUESTS), ensure_ascii=draw(st.booleans())).encode()
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 4]))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.sampled_from(SPLICES) | st.binary(max_size=4)) + body[at + draw(st.integers(0, 8)) :]
    return body


# --- what must hold ---------------------------------------------------------------------------------------------------


def check_refusal(error: HandlerError) -> None:
    """A refusal is one line, says no path and fits an answer."""
    body = json.dumps(error_object(error, request_id="id")).encode()
    assert len(body) < LARGEST_ANSWER, len(body)
    assert 400 <= error.status_code < 500
    assert error.message
    assert len(error.message.splitlines()) == 1, error.message


def read_body(body: bytes) -> None:
    """Go the way of a request up to the engine."""
    try:
        request = parse_request(body, ChatCompletionRequest)
        check_supported(request)
        for spec in (NLLB, T5):
            options = decoding_options(request, spec, max_choices=8)
            assert 1 <= options.hypotheses <= options.num_hypotheses <= 8
            assert options.repetition_penalty > 0
        t5_prompt(request)
        parse_suffix((request.model or "").rpartition(":")[2])
        for default in ("fra_Latn", None):
            prompt = nllb_prompt(request, default_source="auto", default_target=default, deployed=NLLB.languages)
            assert prompt.source_lang in NLLB.languages
            assert prompt.target_lang in NLLB.languages
    except HandlerError as error:
        check_refusal(error)


def read_content_type(headers: tuple[str, str | None]) -> None:
    """Look at the two headers that describe a body."""
    try:
        check_content(*headers)
    except HandlerError as error:
        check_refusal(error)


def read_language(text: str) -> None:
    """Resolve a language, against all codes and the deployed ones, and as a suffix."""
    assert all(code in FLORES_200 for code in language_candidates(text))
    parse_suffix(text)
    for deployed in (None, NLLB.languages, ("zho_Hant",)):
        try:
            assert parse_language(text, deployed=deployed) in (deployed or FLORES_200)
        except HandlerError as error:
            check_refusal(error)


def read_instruction(text: str) -> None:
    """Look for instructions; what is left of a message is a slice of it."""
    for deployed in (None, NLLB.languages):
        with suppress(HandlerError):
            instruction = parse_user_instruction(text, deployed=deployed)
            if instruction is not None:
                assert instruction.text
                assert instruction.text.strip()
                assert instruction.text in text
        with suppress(HandlerError):
            instruction = parse_system_instruction(text, deployed=deployed)
            assert instruction is None or instruction.target


def detect(text: str) -> None:
    """Detect a language."""
    with suppress(HandlerError):
        assert detect_language(text, deployed=NLLB.languages) in NLLB.languages


def split(given: tuple[str, str, int]) -> None:
    """Segment, cut and encode; joining gives the text."""
    text, language, limit = given
    segments = segment(text, language)
    assert "".join(piece.text for piece in segments) == text
    for piece in segments:
        if piece.translate:
            assert piece.text == piece.text.strip()
            pieces = cut(piece.text, lambda part: len(part.encode()) <= limit)
            assert "".join(part.text for part in pieces) == piece.text
            assert all(len(part.text.encode()) <= limit for part in pieces if part.translate)
    source = SourceEncoder(
        TOKENIZERS["nllb"], family="nllb", max_source_tokens=limit + 2, normalize=limit % 2 == 0
    ).encode(text, language, "fra_Latn")
    assert all(len(sentence) <= limit + 2 for sentence in source.sentences)
    assert source.tokens == sum(map(len, source.sentences))
    for sentence in source.sentences:
        assert not set(sentence[1:-1]) & {"</s>", "<pad>", "<s>", "<mask>", *NLLB.languages}


@dataclass(frozen=True)
class Answer:
    """Gaps and sentences of tokens, and how they are put together."""

    model: str
    parts: Sequence[str | Sequence[str]]
    cap: int | None
    stop: tuple[str, ...]
    random: Random = field(repr=False)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw tokens of a demo model, control tokens among them."""
    model = draw(st.sampled_from(["nllb-demo", "t5-demo"]))
    tokens = st.lists(st.sampled_from(vocabulary(model)) | st.sampled_from(["\u2581", "<unk>", "</s>"]), max_size=8)
    return Answer(
        model,
        draw(st.lists(st.sampled_from([" ", "\n", "\n\n- ", "|"]) | TEXTS | tokens, max_size=8)),
        draw(st.none() | st.integers(1, 30)),
        tuple(draw(st.lists(st.sampled_from([" ", "\n", "e", "la", "- "]) | st.text(min_size=1), max_size=4))),
        Random(draw(st.integers())),
    )


def put_together(answer: Answer) -> None:
    """Assemble an answer at once and token by token, in any order: both are the same."""
    decode = TOKENIZERS["nllb" if answer.model == "nllb-demo" else "t5"].decode
    sentences = [part for part in answer.parts if not isinstance(part, str)]
    numbers = iter(range(len(sentences)))
    options: dict[str, Any] = {"decode": decode, "max_completion_tokens": answer.cap, "stop": answer.stop}
    whole = assemble([p if isinstance(p, str) else Decoded(p, ended=True) for p in answer.parts], **options)
    transcript = Transcript([p if isinstance(p, str) else next(numbers) for p in answer.parts], Assembler(**options))
    growing = dict.fromkeys(range(len(sentences)), 0)
    text = ""
    while growing and not transcript.ended:
        index = answer.random.choice(list(growing))
        growing[index] += 1
        tokens = sentences[index][: growing[index]]
        over = growing[index] > len(sentences[index])
        if over:
            del growing[index]
        text += transcript.add(index, tokens, "ended" if over else "growing")
    text += transcript.close()
    choice = transcript.choice()
    assert text == choice.text == whole.text
    assert (choice.completion_tokens, choice.finish_reason) == (whole.completion_tokens, whole.finish_reason)
    assert answer.cap is None or choice.completion_tokens <= answer.cap
    assert not any(string in choice.text for string in answer.stop)
    for sentence in sentences:
        decoded = decode(sentence)
        assert not any(token in decoded for token in CONTROL), decoded


def read_event(event: object) -> None:
    """Tell what an event of Lambda is, and make it readable."""
    assert len(kind(event)) < 300
    is_warm_up(event)
    if is_http(event):
        assert isinstance(event, dict)
        with suppress(HandlerError):
            assert isinstance(normalized(event)["body"], str | bytes)


EVENTS = st.fixed_dictionaries(
    {"requestContext": st.fixed_dictionaries({}, optional=dict.fromkeys(("http", "elb", "stage", "identity"), VALUES))},
    optional={
        "version": st.sampled_from(["1.0", "2.0"]) | VALUES,
        **dict.fromkeys(("httpMethod", "headers", "multiValueHeaders", "body", "isBase64Encoded", "path"), VALUES),
        **dict.fromkeys(("rawPath", "rawQueryString", "cookies", "source", "Records", "queryStringParameters"), VALUES),
    },
)

TARGETS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = {
    "bodies": (bodies(), read_body),
    "content types": (st.tuples(TEXTS, st.none() | TEXTS), read_content_type),
    "languages": (LANGUAGES, read_language),
    "instructions": (INSTRUCTIONS, read_instruction),
    "detection": (TEXTS | INSTRUCTIONS, detect),
    "segments": (st.tuples(TEXTS | INSTRUCTIONS, st.sampled_from(list(FLORES_200)), st.integers(4, 40)), split),
    "answers": (answers(), put_together),
    "events": (EVENTS | VALUES, read_event),
}


def run(name: str, *, number: int, until: float) -> int:
    """Give a target some inputs; return how many.

    Raises:
        Exception: What an input raised; Hypothesis has printed the smallest that does.
    """
    strategy, target = TARGETS[name]
    count = 0

    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(strategy)
    def test(value: Any) -> None:
        nonlocal count
        if time.monotonic() > until:
            return
        count += 1
        start = time.process_time()
        target(value)
        took = time.process_time() - start
        assert took < MOST_CPU_S, f"{took:.1f} CPU seconds"

    test()
    return count


def main() -> int:
    """Fuzz until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for all targets together")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="of the first turn")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    arguments = parser.parse_args()
    set_log_level("CRITICAL")
    counts = dict.fromkeys(arguments.targets, 0)
    until = time.monotonic() + arguments.seconds
    turn = 0
    print(f"--seed {arguments.seed}", flush=True)
    while time.monotonic() < until:
        for name in counts:
            try:
                counts[name] += run(name, number=arguments.seed + turn, until=until)
            except Exception:
                print(f"FAILED: {name}, --seed {arguments.seed + turn} --targets {name!r}; so far {counts}", flush=True)
                raise
        turn += 1
    print(*(f"{count:9,} {name}" for name, count in counts.items()), sep="\n")
    print(f"{sum(counts.values()):9,} inputs in {turn} turns, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
