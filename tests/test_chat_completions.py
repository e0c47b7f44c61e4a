"""``POST /v1/chat/completions`` over a socket: the answer's shape, the languages, and what each parameter does."""

import itertools
import time
from typing import Any

import pytest
from conftest import Answer, Server
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion

HOTEL = "Where is the hotel?"
UMBRELLA = "I have lost my umbrella in Venice."
COFFEE = "I would like a coffee, please."
STATION = "Where is the train station?"
COFFEE_FR = "Je voudrais un café, s'il vous plaît."
HOTEL_IN = {"fra_Latn": "Où est l'hôtel ?", "deu_Latn": "Wo ist das Hotel?", "spa_Latn": "¿Dónde está el hotel?"}
UMBRELLA_IN = {
    "fra_Latn": "J'ai perdu mon parapluie à Venise.",
    "deu_Latn": "Ich habe meinen Regenschirm in Venedig verloren.",
    "spa_Latn": "He perdido mi paraguas en Venecia.",
}
HOTEL_FR, UMBRELLA_FR = HOTEL_IN["fra_Latn"], UMBRELLA_IN["fra_Latn"]
T5_PREFIX = "translate English to German:"
T5_TEXT = f"{T5_PREFIX} {UMBRELLA}"


def post(server: Server, *messages: dict[str, Any], **fields: Any) -> Answer:
    """Ask for a completion of a whole conversation."""
    return server.request("POST", "/v1/chat/completions", {"messages": messages, **fields})


def parsed(answer: Answer) -> ChatCompletion:
    """Check an answer against the client's own types, and against what they leave open."""
    assert answer.status == 200, answer.body
    completion = ChatCompletion.model_validate_json(answer.body, strict=True)
    body = answer.json()
    assert completion.id.startswith("chatcmpl-")
    assert len(completion.id) > len("chatcmpl-") + 16
    assert abs(completion.created - time.time()) < 60
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert [choice.index for choice in completion.choices] == list(range(len(completion.choices)))
    for choice, raw in zip(completion.choices, body["choices"], strict=True):
        assert raw.keys() == {"index", "message", "logprobs", "finish_reason"}
        assert raw["message"].keys() == {"role", "content", "refusal"}
        assert choice.finish_reason in {"stop", "length"}
        assert (choice.logprobs, choice.message.refusal) == (None, None)
        assert choice.message.content is not None
        assert not any(token in choice.message.content for token in ("▁", "</s>", "<s>", "<pad>", "<unk>", "_Latn"))
    return completion


def content(answer: Answer) -> str:
    """Return the text of the first choice of a right answer."""
    return str(parsed(answer).choices[0].message.content)


def finish(answer: Answer) -> str:
    """Return why the first choice of a right answer ended."""
    return parsed(answer).choices[0].finish_reason


def usage(answer: Answer) -> CompletionUsage:
    """Return the token counts of a right answer."""
    counts = parsed(answer).usage
    assert counts is not None
    return counts


def essence(answer: Answer) -> tuple[Any, Any]:
    """Return what two answers to the same question have in common."""
    completion = parsed(answer)
    return completion.choices, completion.usage


def log_line(server: Server, answer: Answer) -> dict[str, Any]:
    """Return the line the server logged for an answer; it is written after the answer is sent."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for line in server.log_lines():
            if line["message"] == "request" and line["correlation_id"] == answer.headers["x-request-id"]:
                return line
        time.sleep(0.02)
    pytest.fail("no line was logged for the answer")


# --- the answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text", "expected"),
    [
        ({"model": "nllb-demo", "target_lang": "fra_Latn"}, HOTEL, HOTEL_FR),
        ({"model": "nllb-demo", "target_lang": "fra_Latn"}, COFFEE, COFFEE_FR),
        ({"model": "nllb-demo", "target_lang": "deu_Latn"}, UMBRELLA, UMBRELLA_IN["deu_Latn"]),
        ({"model": "nllb-demo", "target_lang": "spa_Latn"}, UMBRELLA, UMBRELLA_IN["spa_Latn"]),
        ({"model": "nllb-demo", "source_lang": "fra_Latn", "target_lang": "eng_Latn"}, HOTEL_FR, HOTEL),
        ({"model": "t5-demo"}, T5_TEXT, UMBRELLA_IN["deu_Latn"]),
    ],
    ids=["french", "french-accents", "german", "spanish", "to-english", "t5"],
)
def test_answer_is_a_completion_with_the_translation(
    server: Server, fields: dict[str, Any], text: str, expected: str
) -> None:
    """The ``openai`` package takes the answer as one of its own, and the text is right."""
    completion = parsed(server.chat(text, **fields))

    [choice] = completion.choices
    assert (choice.message.content, choice.finish_reason) == (expected, "stop")
    assert completion.model == fields["model"]
    assert completion.object == "chat.completion"
    assert completion.system_fingerprint
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 0
    assert completion.usage.completion_tokens > 0


def test_phrasebook_knows_the_train_station(server: Server) -> None:
    """The example that the server prints at its start works."""
    assert content(server.chat(STATION, target_lang="fra_Latn")) == "Où est la gare ?"


def test_answers_have_ids_of_their_own(server: Server) -> None:
    """The same request twice is two completions."""
    ids = {parsed(server.chat(HOTEL, target_lang="fra_Latn")).id for _ in range(3)}

    assert len(ids) == 3


def test_same_request_is_answered_the_same(server: Server) -> None:
    """Neither the text nor a token count depends on what was asked before."""
    first = server.chat(COFFEE, target_lang="fra_Latn")
    server.chat(UMBRELLA, target_lang="deu_Latn", temperature=1.5)

    assert essence(server.chat(COFFEE, target_lang="fra_Latn")) == essence(first)


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "echoed"),
    [
        ("nllb-demo", "nllb-demo"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("default", "default"),
        (None, "nllb-demo"),
        ("nllb-demo:fra_Latn", "nllb-demo:fra_Latn"),
        ("gpt-4o-mini:eng_Latn-fra_Latn", "gpt-4o-mini:eng_Latn-fra_Latn"),
        ("default:fr", "default:fr"),
    ],
    ids=["id", "alias", "default", "null", "suffix", "alias-with-pair", "default-with-suffix"],
)
def test_model_is_found_and_echoed_as_asked(server: Server, model: str | None, echoed: str) -> None:
    """An id, an alias and the default model answer alike, under the name the client used."""
    completion = parsed(server.chat(HOTEL, model=model, target_lang="fra_Latn"))

    assert completion.model == echoed
    assert completion.choices[0].message.content == HOTEL_FR


def test_absent_model_is_the_default(server: Server) -> None:
    """Without the field the default model answers, under its own id."""
    assert parsed(server.chat(HOTEL, target_lang="fra_Latn")).model == "nllb-demo"


# --- languages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    ["fra_Latn", "FRA_latn", "fr", "FR", "fra", "fr-CA", "fr_FR", "fr-Latn", "French", "french", "FRENCH"],
)
def test_language_may_be_written_in_many_ways(server: Server, target: str) -> None:
    """FLORES-200, ISO 639, BCP-47 and English names, in any case, mean the same."""
    assert content(server.chat(HOTEL, target_lang=target)) == HOTEL_FR


def by_body(source: str | None, target: str) -> dict[str, Any]:
    """Name languages as fields of the body."""
    return {"source_lang": source, "target_lang": target}


def by_part(source: str | None, target: str) -> dict[str, Any]:
    """Name languages in a content part."""
    return {"part": {"source_lang_code": source, "target_lang_code": target}}


def by_template(source: str | None, target: str) -> dict[str, Any]:
    """Name languages as arguments of a chat template."""
    return {"chat_template_kwargs": {"source_lang_code": source, "target_lang_code": target}}


def by_suffix(source: str | None, target: str) -> dict[str, Any]:
    """Name languages behind the model."""
    return {"model": f"nllb-demo:{source}-{target}" if source else f"nllb-demo:{target}"}


NAMES = {"eng_Latn": "English", "fra_Latn": "French", "deu_Latn": "German", "spa_Latn": "Spanish"}


def by_instruction(source: str | None, target: str) -> dict[str, Any]:
    """Name languages in words, before the text."""
    return {"instruction": f"Translate {f'from {NAMES[source]} ' if source else ''}to {NAMES[target]}: "}


CONVENTIONS = [by_body, by_part, by_template, by_suffix, by_instruction]


def ask(server: Server, text: str, *named: dict[str, Any]) -> Answer:
    """Ask with the languages that several conventions name; the first of two for one field wins."""
    fields: dict[str, Any] = {}
    for one in reversed(named):
        fields |= one
    text = fields.pop("instruction", "") + text
    part = fields.pop("part", None)
    given: Any = text if part is None else [{"type": "text", "text": text, **part}]
    return post(server, {"role": "user", "content": given}, **fields)


@pytest.mark.parametrize("source", [None, "eng_Latn"], ids=["target-alone", "both"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_each_convention_names_the_languages(server: Server, convention: Any, source: str | None) -> None:
    """Every place that the languages may stand in is read, and nothing of it is translated."""
    assert content(ask(server, HOTEL, convention(source, "deu_Latn"))) == HOTEL_IN["deu_Latn"]


@pytest.mark.parametrize("target", ["deu_Latn", "spa_Latn"])
@pytest.mark.parametrize(
    ("first", "second"),
    list(itertools.combinations(CONVENTIONS, 2)),
    ids=[f"{a.__name__}-{b.__name__}" for a, b in itertools.combinations(CONVENTIONS, 2)],
)
def test_earlier_convention_wins(server: Server, first: Any, second: Any, target: str) -> None:
    """Of two targets the one named in the higher place is meant, whichever language that is."""
    other = {"deu_Latn": "spa_Latn", "spa_Latn": "deu_Latn"}[target]

    answer = ask(server, HOTEL, first(None, target), second(None, other))

    assert content(answer) == HOTEL_IN[target]


@pytest.mark.parametrize("left_out", range(5))
def test_all_conventions_at_once_are_ranked(server: Server, left_out: int) -> None:
    """With every place filled, the highest decides; without it the next."""
    targets = ["fra_Latn", "deu_Latn", "spa_Latn", "fra_Latn", "deu_Latn"]
    named = [convention(None, target) for convention, target in zip(CONVENTIONS, targets, strict=True)]

    assert content(ask(server, HOTEL, *named[left_out:])) == HOTEL_IN[targets[left_out]]


@pytest.mark.parametrize(
    ("first", "second"),
    list(itertools.combinations(CONVENTIONS, 2)),
    ids=[f"{a.__name__}-{b.__name__}" for a, b in itertools.combinations(CONVENTIONS, 2)],
)
def test_earlier_convention_wins_for_the_source_too(server: Server, first: Any, second: Any) -> None:
    """The source is ranked like the target; the log tells which one was used."""
    answer = ask(server, HOTEL, first("fra_Latn", "deu_Latn"), second("spa_Latn", "deu_Latn"))

    line = log_line(server, answer)
    assert (line["source_lang"], line["target_lang"]) == ("fra_Latn", "deu_Latn")


def test_languages_may_come_from_two_places(server: Server) -> None:
    """Each of the two is looked up by itself."""
    answer = server.chat(HOTEL_FR, model="nllb-demo:eng_Latn", source_lang="fr")

    assert content(answer) == HOTEL
    line = log_line(server, answer)
    assert (line["source_lang"], line["target_lang"]) == ("fra_Latn", "eng_Latn")


@pytest.mark.parametrize(
    ("suffix", "source", "target"),
    [
        ("fra_Latn", "eng_Latn", "fra_Latn"),
        ("fr", "eng_Latn", "fra_Latn"),
        ("French", "eng_Latn", "fra_Latn"),
        ("deu_Latn-fra_Latn", "deu_Latn", "fra_Latn"),
        ("deu-fra", "deu_Latn", "fra_Latn"),
        ("en-fr", "eng_Latn", "fra_Latn"),
        ("fr-CA", "eng_Latn", "fra_Latn"),
        ("fr-en", "fra_Latn", "eng_Latn"),
    ],
)
def test_model_suffix_names_a_target_or_a_pair(server: Server, suffix: str, source: str, target: str) -> None:
    """Behind the colon stands a target, or a source and a target."""
    answer = server.chat(HOTEL, model=f"nllb-demo:{suffix}")

    assert parsed(answer).model == f"nllb-demo:{suffix}"
    line = log_line(server, answer)
    assert (line["source_lang"], line["target_lang"]) == (source, target)


@pytest.mark.parametrize(
    "text",
    [
        f"Translate from English to French: {HOTEL}",
        f"Translate to French:\n\n{HOTEL}",
        f"Translate the following segment into French, without additional explanation.\n\n{HOTEL}",
        f"translate english to french: {HOTEL}",
    ],
    ids=["from-to", "to", "segment", "lower-case"],
)
def test_instruction_of_the_user_is_stripped(server: Server, text: str) -> None:
    """The words around the text name the language and are not translated."""
    assert content(server.chat(text)) == HOTEL_FR


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize(
    "instruction",
    [
        "You are a helpful assistant that translates English to French.",
        "You are a professional French native translator who needs to fluently translate text into French.",
        "Translate the user's text to French. Output the translation only.",
    ],
    ids=["translates", "native", "imperative"],
)
def test_instruction_of_the_system_names_the_languages(server: Server, instruction: str, role: str) -> None:
    """A system message is read for languages, and the user's text stays whole."""
    answer = post(server, {"role": role, "content": instruction}, {"role": "user", "content": HOTEL})

    assert content(answer) == HOTEL_FR


def test_system_message_is_never_translated(server: Server) -> None:
    """It adds nothing to the answer, and no token to the prompt."""
    alone = server.chat(HOTEL, target_lang="fra_Latn")

    answer = post(
        server, {"role": "system", "content": UMBRELLA}, {"role": "user", "content": HOTEL}, target_lang="fra_Latn"
    )

    assert essence(answer) == essence(alone)


def test_source_language_is_detected_when_asked(server: Server) -> None:
    """``auto`` finds the language of a sentence."""
    answer = server.chat(UMBRELLA_IN["deu_Latn"], source_lang="auto", target_lang="eng_Latn")

    assert answer.status == 200, answer.body
    assert log_line(server, answer)["source_lang"] == "deu_Latn"


# --- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system_message_is_the_task_prefix_of_t5(server: Server, role: str) -> None:
    """With the prefix in a message of its own, T5 reads what it reads with both in one."""
    whole = server.chat(T5_TEXT, model="t5-demo")

    answer = post(server, {"role": role, "content": T5_PREFIX}, {"role": "user", "content": UMBRELLA}, model="t5-demo")

    assert essence(answer) == essence(whole)
    assert content(answer) == UMBRELLA_IN["deu_Latn"]


def test_languages_mean_nothing_to_t5(server: Server) -> None:
    """Its prefix says what to do; the fields of NLLB are ignored."""
    plain = server.chat(T5_TEXT, model="t5-demo")

    answer = server.chat(T5_TEXT, model="t5-demo", source_lang="spa_Latn", target_lang="fra_Latn")

    assert essence(answer) == essence(plain)


def test_last_user_message_alone_is_translated(server: Server) -> None:
    """What was said before, and by whom, stays out of the text."""
    alone = server.chat(HOTEL, target_lang="fra_Latn")

    answer = post(
        server,
        {"role": "user", "content": UMBRELLA},
        {"role": "assistant", "content": UMBRELLA_FR},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
        {"role": "function", "content": "42", "name": "f"},
        {"role": "user", "content": HOTEL},
        {"role": "assistant", "content": "Hm."},
        target_lang="fra_Latn",
    )

    assert essence(answer) == essence(alone)


@pytest.mark.parametrize("model", ["nllb-demo", "t5-demo"])
def test_text_parts_are_joined_with_a_line_break(server: Server, model: str) -> None:
    """Parts read like one text of several lines."""
    parts = [{"type": "text", "text": T5_TEXT if model == "t5-demo" else HOTEL}, {"type": "text", "text": UMBRELLA}]
    whole = server.chat("\n".join(part["text"] for part in parts), model=model, target_lang="fra_Latn")

    answer = post(server, {"role": "user", "content": parts}, model=model, target_lang="fra_Latn")

    assert essence(answer) == essence(whole)
    if model == "nllb-demo":
        assert content(answer) == f"{HOTEL_FR}\n{UMBRELLA_FR}"


# --- token limits ---------------------------------------------------------------------------------------------------

LIMITED = [
    pytest.param({"model": "nllb-demo", "target_lang": "fra_Latn"}, COFFEE, id="nllb"),
    pytest.param({"model": "t5-demo"}, T5_TEXT, id="t5"),
    pytest.param({"model": "nllb-demo", "target_lang": "deu_Latn"}, f"{HOTEL} {UMBRELLA}", id="two-sentences"),
]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(("fields", "text"), LIMITED)
def test_cap_below_the_answer_cuts_it_there(server: Server, fields: dict[str, Any], text: str, name: str) -> None:
    """Exactly as many tokens as were asked for come back, and the reason is told."""
    full = server.chat(text, **fields)
    needed = usage(full).completion_tokens

    for cap in {1, 2, needed // 2, needed - 1}:
        answer = server.chat(text, **fields, **{name: cap})

        assert usage(answer).completion_tokens == cap
        assert finish(answer) == "length"
        assert usage(answer).prompt_tokens == usage(full).prompt_tokens
        assert len(content(answer)) < len(content(full))


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(("fields", "text"), LIMITED)
def test_cap_at_or_above_the_answer_changes_nothing(
    server: Server, fields: dict[str, Any], text: str, name: str
) -> None:
    """A limit that the answer just meets does not cut it, and does not claim to."""
    full = server.chat(text, **fields)
    needed = usage(full).completion_tokens

    for cap in (needed, needed + 1, 10_000):
        answer = server.chat(text, **fields, **{name: cap})

        assert essence(answer) == essence(full)
        assert finish(answer) == "stop"


@pytest.mark.parametrize(("max_tokens", "max_completion_tokens"), [(3, 500), (500, 3)], ids=["old", "new"])
def test_smaller_cap_wins(server: Server, max_tokens: int, max_completion_tokens: int) -> None:
    """Both names of the limit hold at once."""
    answer = server.chat(
        COFFEE, target_lang="fra_Latn", max_tokens=max_tokens, max_completion_tokens=max_completion_tokens
    )

    assert (usage(answer).completion_tokens, finish(answer)) == (3, "length")


@pytest.mark.parametrize("temperature", [None, 0.8], ids=["deterministic", "sampled"])
def test_each_choice_has_a_cap_of_its_own(server: Server, temperature: float | None) -> None:
    """Two tokens for each of four choices are eight."""
    answer = server.chat(COFFEE, target_lang="fra_Latn", n=4, max_tokens=2, temperature=temperature)

    assert usage(answer).completion_tokens == 8
    assert {choice.finish_reason for choice in parsed(answer).choices} == {"length"}


# --- stop -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (" café", "Je voudrais un"),
        ("caf", "Je voudrais un "),
        ("Je", ""),
        ([" plaît", "voudrais"], "Je "),
        (["voudrais", " plaît"], "Je "),
        (["s'il", "s'"], "Je voudrais un café, "),
        (".", "Je voudrais un café, s'il vous plaît"),
        (["nothing", "of", "all", "."], "Je voudrais un café, s'il vous plaît"),
    ],
    ids=["word", "part-of-word", "first", "list", "list-reversed", "overlapping", "last", "four"],
)
def test_stop_cuts_the_answer_at_the_earliest_match(server: Server, stop: Any, expected: str) -> None:
    """The text is what it would be without ``stop``, up to the first match, and only that is counted."""
    full = server.chat(COFFEE, target_lang="fra_Latn")

    answer = server.chat(COFFEE, target_lang="fra_Latn", stop=stop)

    assert content(answer) == expected
    assert finish(answer) == "stop"
    assert usage(answer).prompt_tokens == usage(full).prompt_tokens
    assert usage(answer).completion_tokens <= usage(full).completion_tokens - 1
    assert bool(usage(answer).completion_tokens) == bool(expected)


@pytest.mark.parametrize("stop", ["nowhere", ["JE", "Café"], ".*", "\n"], ids=["word", "case", "regex", "break"])
def test_stop_that_is_not_in_the_answer_changes_nothing(server: Server, stop: Any) -> None:
    """Stop strings are literal."""
    full = server.chat(COFFEE, target_lang="fra_Latn")

    assert essence(server.chat(COFFEE, target_lang="fra_Latn", stop=stop)) == essence(full)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [("\n", HOTEL_FR), ("?\nJ'ai", "Où est l'hôtel "), (" parapluie", f"{HOTEL_FR}\nJ'ai perdu mon")],
    ids=["gap", "across", "second"],
)
def test_stop_is_looked_for_in_the_whole_answer(server: Server, stop: str, expected: str) -> None:
    """Sentences are translated one by one, and ``stop`` does not see where one ends."""
    answer = server.chat(f"{HOTEL}\n{UMBRELLA}", target_lang="fra_Latn", stop=stop)

    assert content(answer) == expected
    assert finish(answer) == "stop"


def test_stop_applies_to_what_the_cap_left(server: Server) -> None:
    """A match behind the cap is not in the answer; one before it ends the answer for good."""
    capped = server.chat(COFFEE, target_lang="fra_Latn", max_tokens=4)

    behind = server.chat(COFFEE, target_lang="fra_Latn", max_tokens=4, stop="plaît")
    before = server.chat(COFFEE, target_lang="fra_Latn", max_tokens=4, stop=" voudrais")

    assert essence(behind) == essence(capped)
    assert (content(before), finish(before)) == ("Je", "stop")


def test_stop_applies_to_each_choice(server: Server) -> None:
    """No choice holds the stop string."""
    answer = server.chat(COFFEE, target_lang="fra_Latn", stop=" ", n=3)

    assert all(" " not in str(choice.message.content) for choice in parsed(answer).choices)


# --- choices and sampling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [None, 0.7], ids=["deterministic", "sampled"])
@pytest.mark.parametrize("n", range(1, 9))
def test_n_choices_are_returned_and_counted(server: Server, n: int, temperature: float | None) -> None:
    """As many choices as asked for, also more than the beam is wide, and their tokens in the usage."""
    one = server.chat(HOTEL, target_lang="fra_Latn")

    answer = server.chat(HOTEL, target_lang="fra_Latn", n=n, temperature=temperature)

    assert len(parsed(answer).choices) == n
    assert usage(answer).prompt_tokens == usage(one).prompt_tokens
    assert usage(answer).completion_tokens >= n
    if temperature is None:
        assert content(answer) == HOTEL_FR


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1},
        {"top_p": 1},
        {"temperature": 1.0, "top_p": 1.0},
        {"temperature": 0},
        {"temperature": 0, "top_p": 0.5},
        {"temperature": 0.0, "top_p": 1, "seed": 5},
        {"top_p": 0},
        {"temperature": None, "top_p": None},
        {"temperature": 1, "seed": 12},
    ],
    ids=lambda fields: "-".join(f"{key}={value}" for key, value in fields.items()),
)
def test_defaults_of_chat_clients_are_deterministic(server: Server, fields: dict[str, Any]) -> None:
    """Zero, and OpenAI's defaults of one, mean the configured search."""
    plain = server.chat(UMBRELLA, target_lang="fra_Latn", n=2)

    for _ in range(2):
        assert essence(server.chat(UMBRELLA, target_lang="fra_Latn", n=2, **fields)) == essence(plain)


@pytest.mark.parametrize(
    "fields",
    [{"temperature": 0.5}, {"top_p": 0.5}, {"temperature": 2, "top_p": 0.9}, {"temperature": 0.5, "seed": 7}],
    ids=["temperature", "top-p", "both", "seed"],
)
def test_other_values_sample(server: Server, fields: dict[str, Any]) -> None:
    """A sampled answer is a whole answer."""
    completion = parsed(server.chat(COFFEE, target_lang="fra_Latn", n=8, **fields))

    assert all(choice.message.content for choice in completion.choices)
    assert completion.system_fingerprint


def test_hot_choices_differ(server: Server) -> None:
    """Sampling at the highest temperature finds more answers than one, and more than a beam of one could."""
    # Of what it knows the demo model is so sure that eight draws may well be one.
    text = "Nobody taught the model what this says."
    completion = parsed(server.chat(text, target_lang="fra_Latn", n=8, temperature=2, beam_size=1))

    assert len({choice.message.content for choice in completion.choices}) > 1


@pytest.mark.parametrize(
    "fields",
    [
        {"frequency_penalty": 0.5},
        {"presence_penalty": 0.5},
        {"frequency_penalty": 0, "presence_penalty": 0},
        {"beam_size": 2},
        {"length_penalty": 0.8},
        {"repetition_penalty": 1.1},
        {"no_repeat_ngram_size": 4},
        {"beam_size": 1, "length_penalty": 1.0, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0},
    ],
    ids="-".join,
)
def test_search_parameters_are_accepted(server: Server, fields: dict[str, Any]) -> None:
    """A mild setting of each leaves an easy sentence as it is."""
    assert content(server.chat(HOTEL, target_lang="fra_Latn", **fields)) == HOTEL_FR


# --- other fields ---------------------------------------------------------------------------------------------------

OPTIONAL = (
    "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata "
    "modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention "
    "reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options "
    "temperature tool_choice "
    "tools top_logprobs top_p user verbosity web_search_options source_lang beam_size length_penalty "
    "repetition_penalty no_repeat_ngram_size chat_template_kwargs"
).split()


@pytest.mark.parametrize("names", [*([name] for name in OPTIONAL), OPTIONAL], ids=[*OPTIONAL, "all"])
def test_null_is_absent(server: Server, names: list[str]) -> None:
    """Clients that write out every field send ``null`` for those they do not mean."""
    plain = server.chat(HOTEL, target_lang="fra_Latn")

    assert essence(server.chat(HOTEL, target_lang="fra_Latn", **dict.fromkeys(names))) == essence(plain)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    "fields",
    [
        {"unknown": {"a": [1, None, "x"]}, "enable_thinking": True},
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": [TOOL], "tool_choice": "none"},
        {"tool_choice": "auto"},
        {"tool_choice": "none"},
        {"functions": [{"name": "f"}], "function_call": "auto"},
        {"response_format": {"type": "text"}},
        {"modalities": ["text"]},
        {"stream": False},
        {"logprobs": False},
        {"logit_bias": {"50256": -100, "1": 5}},
        {"logit_bias": {}},
        {"store": True, "metadata": {"a": "b"}},
        {"store": False, "metadata": {}},
        {"service_tier": "auto"},
        {"user": "someone", "safety_identifier": "someone", "prompt_cache_key": "key"},
        {"reasoning_effort": "low", "verbosity": "low"},
        {"prediction": {"type": "content", "content": "x"}},
        {"prediction": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
        {"audio": {"voice": "alloy", "format": "mp3"}},
        {"audio": {"voice": {"id": "voice_1"}, "format": "wav"}},
        {"prompt_cache_retention": "in_memory"},
        {"prompt_cache_retention": "in-memory"},
        {"prompt_cache_retention": "24h"},
        {"web_search_options": {}},
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"country": "FR"}},
            }
        },
        {"tools": [{"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}]},
    ],
    ids="-".join,
)
def test_field_without_effect_is_accepted(server: Server, fields: dict[str, Any]) -> None:
    """A client may send what this server has no use for; the answer is the same."""
    plain = server.chat(HOTEL, target_lang="fra_Latn")

    assert essence(server.chat(HOTEL, target_lang="fra_Latn", **fields)) == essence(plain)


# --- the shape of the text ------------------------------------------------------------------------------------------

SHAPES = {
    "list": "- {0}\n- {1}\n  - {0}\n",
    "numbers": "1. {0}\n2. {1}\n\n10) {0}",
    "blank-lines": "\n\n{0}\n\n\n\n{1}\n\n",
    "indentation": "    {0}\n\t{1}\n \t {0}",
    "crlf": "{0}\r\n\r\n{1}\r\n",
    "mixed-breaks": "{0}\r{1}\n\r\n{0}",
    "trailing-space": "  {0}   \n{1}\t",
    "quote": "> {0}\n>> {1}",
    "headings": "# {0}\n\n## {1}\n\n---\n\n* * *\n{0}",
    "task": "- [ ] {0}\n- [x] {1}",
    "code": "{0}\n\n```python\nprint('hello')\n```\n\n{1}",
    "numbers-alone": "{0}\n\n1,234.50\n\n=====\n{1}",
    "sentences": "{0} {1} {0}",
    "wide-space": "{0}  {1}",
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_text_keeps_its_shape(server: Server, shape: str) -> None:
    """Only the sentences change: marks, breaks and white space stay as they were."""
    answer = server.chat(shape.format(HOTEL, UMBRELLA), target_lang="fra_Latn")

    assert content(answer) == shape.format(HOTEL_FR, UMBRELLA_FR)
    assert finish(answer) == "stop"


def test_long_document_is_translated_sentence_by_sentence(server: Server) -> None:
    """Two hundred lines come back as two hundred lines, each of them right."""
    lines = [f"{number}. {(HOTEL, UMBRELLA)[number % 2]}" for number in range(200)]

    answer = server.chat("\n".join(lines), target_lang="fra_Latn", beam_size=1)

    assert content(answer).splitlines() == [f"{number}. {(HOTEL_FR, UMBRELLA_FR)[number % 2]}" for number in range(200)]


@pytest.mark.parametrize("model", ["nllb-demo", "t5-demo"])
@pytest.mark.parametrize(
    "text", ["", " ", "\n", " \n\t\r\n ", "\u3000"], ids=["empty", "space", "break", "all", "wide"]
)
def test_text_without_words_comes_back(server: Server, text: str, model: str) -> None:
    """There is nothing to translate and nothing is."""
    answer = server.chat(text, model=model, target_lang="fra_Latn", n=2)

    assert [choice.message.content for choice in parsed(answer).choices] == [text, text]
    assert usage(answer) == CompletionUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    assert finish(answer) == "stop"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" and ".join(["where is the hotel"] * 120), 4 * 120),
        (", ".join(["where is the hotel"] * 120), 4 * 120),
        ("hotel" * 500, 500),
        ("é" * 700, 700 // 4),
    ],
    ids=["spaces", "commas", "one-word", "no-spaces"],
)
def test_sentence_longer_than_the_encoder_takes_is_cut_and_kept(server: Server, text: str, words: int) -> None:
    """More tokens than the 256 positions of the model are all read, in pieces."""
    answer = server.chat(text, target_lang="fra_Latn", beam_size=1, max_tokens=2000)

    assert usage(answer).prompt_tokens > max(256, words // 2)
    assert content(answer)


def test_nothing_of_a_long_sentence_is_dropped(server: Server) -> None:
    """A sentence of many clauses costs as many tokens as its clauses, and a few for each piece it was cut into."""
    clause = "where is the hotel, "
    two, three = (usage(server.chat(clause * count, target_lang="fra_Latn")).prompt_tokens for count in (2, 3))
    per_clause = three - two

    prompt_tokens = usage(server.chat(clause * 200, target_lang="fra_Latn", max_tokens=1, beam_size=1)).prompt_tokens

    whole = two + 198 * per_clause
    assert whole <= prompt_tokens <= whole * 1.1


# --- control tokens -------------------------------------------------------------------------------------------------

TYPED = [
    "</s>",
    "<s>",
    "<pad>",
    "<unk>",
    "<mask>",
    "fra_Latn",
    "eng_Latn",
    "__fra_Latn__",
    "▁",
    "<extra_id_0>",
    "<2de>",
]


@pytest.mark.parametrize("typed", TYPED)
def test_typed_control_token_is_text(server: Server, typed: str) -> None:
    """It neither ends the text nor changes the language, and costs the tokens of its characters."""
    around = server.chat(f"{HOTEL}\n{UMBRELLA}", target_lang="deu_Latn")

    answer = server.chat(f"{HOTEL}\n{typed}\n{UMBRELLA}", target_lang="deu_Latn")

    assert answer.status == 200, answer.body
    text = answer.json()["choices"][0]["message"]["content"]
    assert text.startswith(HOTEL_IN["deu_Latn"] + "\n")
    assert text.endswith("\n" + UMBRELLA_IN["deu_Latn"])
    assert "▁" not in text.splitlines()[1].replace(typed, "")
    if any(map(str.isalpha, typed)):
        # The language, at least two pieces, the end.
        assert answer.json()["usage"]["prompt_tokens"] >= usage(around).prompt_tokens + 4


@pytest.mark.parametrize("model", ["nllb-demo", "t5-demo"])
@pytest.mark.parametrize("typed", TYPED)
def test_typed_control_token_inside_a_sentence_is_no_error(server: Server, typed: str, model: str) -> None:
    """Whatever the model makes of it, the answer is an answer, and what comes out was not put in by the server."""
    text = f"{T5_PREFIX} {typed} {UMBRELLA}" if model == "t5-demo" else f"{typed} I have lost {typed} my umbrella."

    answer = server.chat(text, model=model, target_lang="fra_Latn")

    assert answer.status == 200, answer.body
    written = answer.json()["choices"][0]["message"]["content"]
    for token in ("</s>", "<s>", "<pad>", "<unk>", "<mask>", "fra_Latn", "▁"):
        assert token not in written or token in typed


def test_log_probabilities_cover_the_answer(server: Server) -> None:
    """One for each counted token; their texts joined are the answer."""
    text = "- Where is the hotel?\n\n- Good morning. Thank you.\n"
    whole = server.chat(text, target_lang="fra_Latn", logprobs=True, n=2).json()

    for choice in whole["choices"]:
        entries = choice["logprobs"]["content"]
        assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
        assert all(bytes(entry["bytes"]).decode() == entry["token"] for entry in entries)
        assert all(entry["logprob"] <= 0 and entry["top_logprobs"] == [] for entry in entries)
    assert sum(len(choice["logprobs"]["content"]) for choice in whole["choices"]) == whole["usage"]["completion_tokens"]


@pytest.mark.parametrize("fields", [{"stop": "jour"}, {"max_tokens": 3}, {"stop": "O"}], ids=["stop", "cap", "nothing"])
def test_log_probabilities_end_with_the_answer(server: Server, fields: dict[str, Any]) -> None:
    """What was cut off has none."""
    answer = server.chat(
        "Where is the hotel? Good morning.", target_lang="fra_Latn", logprobs=True, top_logprobs=0, **fields
    ).json()

    [choice] = answer["choices"]
    entries = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
    assert len(entries) == answer["usage"]["completion_tokens"]
