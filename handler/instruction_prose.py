"""Instructions in prose, as in a system message: the languages that its sentences name and agree on."""

import re
from collections.abc import Iterator

from handler.instruction_head import BREAKS, OBJECT, PREPOSITIONS, SLOT_TOKENS, STOPS, Head
from handler.languages import language_candidates

_MAX_TRIES = 40
"""Prepositions that are tried; the sentences after them are not read."""
_AFTER_TARGET = frozenset(
    (
        "and as but except exactly for if keeping maintaining only please preserving regardless so then translation "
        "translations translator unless using when whenever where while with without interpreter"
    ).split()
)
_CODES_THAT_ARE_WORDS = frozenset("am as be he hi id in is it ha my no om or so war sun fur fin pan".split())
_PAIR_MARKS = (PREPOSITIONS - {"from", "in"}) | {"-", "\u2013"}


_PERSONA = re.compile(r"\s*(?:you are|you['\u2019]re|act as) an?\s", re.IGNORECASE)
_BLANK_LINE = re.compile(r"(?>\r\n?|\n)[^\S\r\n]*(?:\r\n?|\n)")
_PERSONS = frozenset(
    (
        "ai api assistant bot chatbot engine expert interpreter linguist machine model professional program service "
        "specialist system tool translator"
    ).split()
)
"""Whom a prompt makes of a model, so that "You are a friend who translates ..." is a letter."""
_SOMEBODY_ELSES = frozenset("i i'm i'd i'll i've me my we we're our ! ?".split())
"""Words and marks of somebody who writes to a person."""


def read_persona(text: str) -> tuple[str | None, str, int] | None:
    """Return the languages of "You are a translator who ..." at the start, and where its paragraph ends.

    A blank line must follow, and the first sentence be about translating: a paragraph is much to take for no text.
    """
    blank = _BLANK_LINE.search(text, len(text) - len(text.lstrip()))
    if blank is None or not _PERSONA.match(text):
        return None
    head = Head(text[: blank.start()])
    first, stop = next(_sentences(head.words))
    sentence = head.words[first:stop]
    if _SOMEBODY_ELSES.intersection(head.words) or not _PERSONS.intersection(sentence):
        return None
    found = find_pair(head.text) if any(word.startswith("translat") for word in sentence) else None
    return None if found is None else (*found, blank.start())


def find_pair(text: str) -> tuple[str | None, str] | None:
    """Return the source, if named, and the target that all sentences of a message agree on."""
    head = Head(text)
    pairs: list[tuple[str | None, str]] = []
    unknown: str | None = None
    tries = _MAX_TRIES
    for first, stop in _sentences(head.words):
        found = list(_pairs_of_line(head, first, stop))
        verb = next((at for at in range(first, stop) if head.words[at].startswith("translat")), None)
        if not found and verb is not None:
            tries -= sum(word in PREPOSITIONS for word in head.words[first:stop])
            if tries < 0:
                break
            found = list(_pairs_of_sentence(head, first, stop, verb))
            unknown = unknown or (None if found else _unknown_target(head, stop, verb))
        pairs += found
    if not pairs:
        return (None, unknown) if unknown else None
    target = _agreed([target for _, target in pairs])
    return (_agreed([source for source, _ in pairs if source]), target) if target else None


def _agreed(slots: list[str]) -> str | None:
    """Return the most precise of several names for one language, ``None`` if they name different ones."""
    if not slots:
        return None
    candidates = [language_candidates(slot) for slot in slots]
    common = set(candidates[0]).intersection(*candidates)
    return min(zip(slots, candidates, strict=True), key=lambda named: len(named[1]))[0] if common else None


def _sentences(words: list[str]) -> Iterator[tuple[int, int]]:
    first = 0
    for at, word in enumerate([*words, "\n"]):
        if word in STOPS or word in BREAKS:
            if at > first:
                yield first, at
            first = at + 1


def _pairs_of_line(head: Head, first: int, stop: int) -> Iterator[tuple[str | None, str]]:
    """Read a sentence that is nothing but a pair: "English to French", "en -> fr", "eng_Latn-fra_Latn"."""
    first += head.words[first] == "from"
    if stop - first > 2 * SLOT_TOKENS + 1:
        return
    for at in range(first + 1, stop - 1):
        if head.words[at] in _PAIR_MARKS:
            source, target = head.raw(first, at), head.raw(at + 1, stop)
            if language_candidates(source) and language_candidates(target):
                yield source, target
    pair = head.raw(first, stop)
    if stop - first == 1 and "_" in pair:  # without it, "zh-Hant" and "zh-TW" are one language
        for dash in re.finditer("-", pair[:80]):
            source, target = pair[: dash.start()], pair[dash.end() :]
            if language_candidates(source) and language_candidates(target):
                yield source, target


def _pairs_of_sentence(head: Head, first: int, stop: int, verb: int) -> Iterator[tuple[str | None, str]]:
    """Find "<language> to <language>", "to <language>" and "<language> native translator" in a sentence."""
    words = head.words
    places = [at for at in range(first, stop) if words[at] in PREPOSITIONS]
    found = [(words[at], pair) for at in places if (pair := _pair_around(head, at, first, stop, verb))]
    for token in head.tokens[first:stop]:  # "an English-French translator"
        left, dash, right = token.group().partition("-")
        if dash and not _is_code(left.lower()) and language_candidates(left) and language_candidates(right):
            found.append(("-", (left, right)))
    sources = [slot[0] for at in places if words[at] == "from" and (slot := head.language(at + 1, stop))]
    within = [pair[1] for word, pair in found if word == "in"]
    if len(within) < len(found):  # "the text in English to French": what it is in is the source
        sources += within
        found = [named for named in found if named[0] != "in"]
    for _, (source, target) in found:
        yield (sources[0] if sources else source), target
    if not found and "native" in words[max(first, verb - 3) : verb]:
        native = words.index("native", max(first, verb - 3))
        language = head.language_before(native, first) or head.language_before(verb, native + 1)
        if language:
            yield None, language


def _pair_around(head: Head, at: int, first: int, stop: int, verb: int) -> tuple[str | None, str] | None:
    """Read the languages on both sides of the preposition at ``at``; the left one may be missing."""
    slot = None if head.words[at] == "from" else head.language(at + 1, stop)
    if slot is None or not _ends_target(head.words, slot[1], stop):
        return None
    before = _object_start(head.words, at, verb)
    source = head.language_before(before, max(first, verb + 1) if at > verb else first)
    if source and _is_code(source) and (source in _CODES_THAT_ARE_WORDS or not _is_code(slot[0])):
        source = None  # "as it is to be"
    if not source and slot[0] in _CODES_THAT_ARE_WORDS:
        return None
    # Without a language on the left, "to" must follow the verb, and "in" the verb's object.
    near = before == verb + 1 if head.words[at] == "in" else at > verb
    return (source, slot[0]) if source or near else None


def _object_start(words: list[str], at: int, verb: int) -> int:
    """Step back from ``at`` over "the following text" to the word before it, the verb at most."""
    while at > verb + 1 and words[at - 1] in OBJECT:
        at -= 1
    return at


def _ends_target(words: list[str], at: int, stop: int) -> bool:
    """Tell "to French, please" from "to French customers"."""
    return at >= stop or not words[at][0].isalnum() or words[at] in _AFTER_TARGET or words[at] in PREPOSITIONS


def _is_code(slot: str) -> bool:
    return len(slot) <= 3 and slot.islower()  # noqa: PLR2004 - ISO 639


def _unknown_target(head: Head, stop: int, verb: int) -> str | None:
    """Return what stands in a language's place at the end of a sentence: "You translate English to Klingon."."""
    words = head.words
    for at in range(verb + 1, stop):
        if words[at] in {"to", "into"}:
            before = _object_start(words, at, verb)
            unknown = head.unknown_language(at + 1)
            clear = before == verb + 1 or head.language_before(before, verb + 1) is not None
            if clear and unknown and unknown[1] >= stop and unknown[0][0].isupper():
                return unknown[0]
    return None
