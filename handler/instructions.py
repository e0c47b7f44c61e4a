"""Translation instructions written in words: "Translate from English to French: ...".

A user message is an instruction only if it starts with one and marks where the text begins: with a colon, or with a
line break after a complete instruction. Words between "translate" and the languages come from a closed list ("the
following text", "this sentence"), so "Translate to the best of your ability." stays a sentence. What a language slot
holds decides the rest: a known language is used; an unknown one is an error where it looks like a language ("Klingon",
"Old English", "xx-YY", or any single word right before a colon); anything else makes the message plain text.

A system message is prose, so its sentences are searched. Contradicting ones ("translate French to English, otherwise to
French") name no language.

The work is bounded: only the head of a message is read, and only a handful of words can be a language's name.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from handler.language_data import SCRIPT_WORDS
from handler.languages import language_candidates, parse_language

_HEAD_CHARS = 1200
"""TranslateGemma's prompt has 560 characters and repeats both languages several times."""
_SYSTEM_CHARS = 4000
_SLOT_TOKENS = 7
"""The longest name with a code: "Chinese ( Traditional ) ( zh-Hant )" and a word to spare."""
_MAX_TRIES = 40
"""Prepositions of a system message that are tried before its end."""

_TOKEN = r"\w+(?:['\u2019-]\w+)*|[-=]{1,2}>|\r\n?|\n|[^\w\s]"  # noqa: S105 - a token of text


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BREAKS = frozenset(("\n", "\r", "\r\n"))
_COLONS = frozenset(":\uff1a")
_ARROWS = frozenset(("->", "-->", "=>", "==>", "\u2192", ">"))
_QUOTES = frozenset("\"'`*[]<>{}\u201c\u201d\u2018\u2019\u00ab\u00bb")
_STOPS = frozenset(".!?;\u3002")

_POLITE = frozenset((
    "please", "kindly", "now", "can you", "can you please", "could you", "could you please", "please can you",
    "please could you", "would you", "would you please", "i want you to", "i need you to", "i would like you to",
))  # fmt: skip
_OBJECT = _words(
    "the this that these those it them all any every each everything following below above next given provided whole "
    "entire of my our your user user's users users' input source original short long plain text texts sentence "
    "sentences segment segments paragraph paragraphs message messages passage passages phrase phrases word words "
    "content document documents line lines string strings article email letter question title snippet subtitle "
    "subtitles caption captions description conversation story page language"
)
_QUALIFIERS = _words("the natural fluent idiomatic formal informal casual plain simple good correct proper")
_SMALL_TALK = _words("please for me us now thanks thank you and") | _QUALIFIERS
_REMARKS = _words(
    "additional comment comments commentary else explain explanation explanations extra format formatting keep keeping "
    "literally maintain maintaining markdown meaning notes output preserve preserving produce quotation remarks reply "
    "respond return style tags tone translate translated translation translations verbatim"
)
"""Words of which a remark after the languages has one: "without additional explanation", "output translation only"."""
_AFTER_TARGET = _words(
    "and as but except exactly for from if in keeping maintaining only please preserving regardless so then "
    "translation translations translator unless using when whenever where while with without interpreter"
)
_PRONOUNS = _words("me us him her you yourself everyone anyone someone something nothing")
_CODES_THAT_ARE_WORDS = _words("am as be he hi id in is it ha my no om or so to do war sun fur fin pan")
_SOURCE_LABELS = ("source text", "source", "text", "input")
_TARGET_LABELS = ("translated text", "translation", "target text", "output")

_CHINESE = (
    r"\s*请?[把将]?(?:下面|以下|下列|这)[^\s,:\uff0c\uff1a\u3002]{0,8}?(?:翻译|译)[成为到]"
    r"(?P<target>[^\n,:\uff0c\uff1a\u3002]{1,40})"
    r"(?:[,\uff0c][^\n:\uff1a\u3002]{0,60})?(?:[:\uff1a]|\u3002?[^\S\n]*(?=\n))"
)
"""Hunyuan-MT's Chinese form: "translate the following text into X, without further explanation"."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What an instruction asks for: codes for the languages it names, and the text it applies to."""

    source: str | None
    target: str | None
    text: str | None
    """The rest of a user message, byte for byte; ``None`` for a system message."""


def parse_user_instruction(text: str, *, deployed: Collection[str] | None = None) -> Instruction | None:
    """Return the instruction that ``text`` starts with, ``None`` if it is nothing but text.

    Args:
        text: A user message.
        deployed: The codes the model serves, see :func:`handler.languages.parse_language`.

    Raises:
        UnsupportedLanguageError: The instruction clearly names a language, and it is unknown or not served.
    """
    if "translat" not in text[:_HEAD_CHARS].lower():
        return _parse_chinese(text, deployed)
    head = _Head(text[:_HEAD_CHARS])
    for start in head.instruction_starts():
        order = _read_order(head, start)
        if order is None:
            continue
        source, target, end = order
        begin = _text_start(text, end)
        if not text[begin:].strip():
            continue
        if start and (role := _search(head.text[:end])):
            # "You are a Chinese (zh-TW) to English (en) translator. [...] translate the following Chinese text": the
            # first sentence is the more precise.
            source, target = role[0] or source, role[1]
        begin, end = _inside_labels(text, begin, source, target)
        return Instruction(_code(source, deployed), _code(target, deployed), text[begin:end])
    return None


def parse_system_instruction(text: str, *, deployed: Collection[str] | None = None) -> Instruction | None:
    """Return the languages a system message names, ``None`` if it names no target or contradicts itself.

    Args:
        text: A system message.
        deployed: The codes the model serves, see :func:`handler.languages.parse_language`.

    Raises:
        UnsupportedLanguageError: The message clearly names a language, and it is unknown or not served.
    """
    found = _search(text[:_SYSTEM_CHARS])
    if found is None:
        return None
    return Instruction(_code(found[0], deployed), _code(found[1], deployed), None)


class _Head:
    """The start of a message as words and marks."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(re.finditer(_TOKEN, text))
        self.words = [token.group().lower().replace("\u2019", "'") for token in self.tokens]

    def raw(self, start: int, stop: int) -> str:
        return self.text[self.tokens[start].start() : self.tokens[stop - 1].end()] if start < stop else ""

    def language(self, start: int, stop: int) -> tuple[str, int] | None:
        """Return the longest language name at ``start`` and the index after it; quotes and qualifiers may precede."""
        while start < stop and (self.words[start] in _QUOTES or self.words[start] in _QUALIFIERS):
            start += 1
        stop = next((at for at in range(start, min(stop, start + _SLOT_TOKENS)) if self.words[at] in _BREAKS), stop)
        for end in range(min(stop, start + _SLOT_TOKENS), start, -1):
            if language_candidates(self.raw(start, end)):
                after = end
                while after < stop and self.words[after] in _QUOTES and self.words[after] != ">":
                    after += 1
                return self.raw(start, end), after
        return None

    def slot(self, start: int) -> tuple[str, int] | None:
        """Return the name in a language's place, known or not, and the index after it."""
        known = self.language(start, len(self.words))
        if known is None:
            return self.unknown_language(start)
        at = known[1]
        if self.words[at : at + 1] == ["("] and self.words[at + 2 : at + 3] == [")"]:
            inner = self.tokens[at + 1].group()
            # "Serbian (Latin)" names what there is not; "French (formal)" is a remark.
            return (self.raw(start, at + 3), at + 3) if inner[0].isupper() else known
        if self.words[at : at + 1] and self.words[at] in SCRIPT_WORDS:
            return self.raw(start, at + 1), at + 1
        return known

    def language_before(self, stop: int, first: int) -> str | None:
        """Return the longest language name that ends at ``stop``."""
        while stop > first and self.words[stop - 1] in _QUOTES:
            stop -= 1
        for start in range(max(first, stop - _SLOT_TOKENS), stop):
            if language_candidates(self.raw(start, stop)):
                return self.raw(start, stop)
        return None

    def unknown_language(self, start: int) -> tuple[str, int] | None:
        """Return what looks like a language's name and is none, and the index after it."""
        words, size = self.words, len(self.words)
        while start < size and words[start] in _QUOTES:
            start += 1
        end = start
        while end < size and words[end][0].isalnum() and words[end] not in _OBJECT and words[end] not in _PREPOSITIONS:
            end += 1
        slot = self.raw(start, end).split()
        single = len(slot) == 1 and (slot[0][:1].isupper() or (end < size and words[end] in _COLONS) or "-" in slot[0])
        several = 1 < len(slot) <= 3 and all(word[0].isupper() for word in slot)  # noqa: PLR2004 - "Middle High German"
        known_kind = 1 < len(slot) <= 3 and bool(language_candidates(slot[-1])) and len(slot[-1]) > 3  # noqa: PLR2004
        if not (single or several or known_kind) or slot[0].isdigit() or slot[0].lower() in _PRONOUNS:
            return None
        if end < size and words[end] == "(" and ")" in words[end : end + 4]:
            end = words.index(")", end) + 1
        name = self.raw(start, end)
        while end < size and words[end] in _QUOTES:
            end += 1
        return name, end

    def instruction_starts(self) -> Iterator[int]:
        """Yield where an instruction may begin: the first word, or a sentence after "You are a translator."."""
        words = self.words
        first = next((at for at, word in enumerate(words) if word not in _BREAKS), 0)
        yield first
        if words[first : first + 2] != ["you", "are"]:
            return
        about = False
        for at in range(first + 2, len(words)):
            about = about or words[at].startswith("translat")
            if words[at - 1] in _BREAKS and words[at] in _BREAKS:
                return
            if about and (words[at - 1] in _BREAKS or words[at - 1] in _STOPS) and words[at] not in _BREAKS:
                yield at


_PREPOSITIONS = frozenset(("from", "to", "into", "in")) | _ARROWS


def _read_order(  # noqa: C901, PLR0912 - one branch for each kind of word
    head: _Head, start: int
) -> tuple[str | None, str | None, int] | None:
    """Read "translate <what> from <language> to <language>" at ``start``: the names, and where the delimiter ends."""
    words = head.words
    at = next((at for at in range(start, min(start + 6, len(words))) if words[at] == "translate"), None)
    if at is None or (at > start and " ".join(words[start:at]) not in _POLITE):
        return None
    at += 1
    source: str | None = None
    target: str | None = None
    within: str | None = None
    while at < len(words):
        word = words[at]
        if word in _PREPOSITIONS:
            slot = head.slot(at + 1)
            if slot is None:
                return None
            if word == "from":
                source = slot[0]
            elif word == "in":
                within = slot[0]
            else:
                target = slot[0]
            at = slot[1]
        elif word in _OBJECT or (word in _QUOTES and target is None):
            at += 1
        elif target is None and within is None and (slot := head.language(at, len(words))):
            source, at = slot
        elif target is None and within is None and head.tokens[at].group()[0].isupper():
            unknown = head.unknown_language(at)
            # "Klingon to French" and "the Klingon text" name a language, "the Bible" does not.
            if unknown is None or (words[at - 1] != "translate" and not _OBJECT.intersection(words[unknown[1] :][:1])):
                return None
            source, at = unknown
        else:
            break
    if target is None:
        target = within
    elif source is None:
        source = within
    end = _delimiter_end(head, at) if source or target else None
    return None if end is None else (source, target, end)


def _delimiter_end(head: _Head, at: int) -> int | None:
    """Return where the instruction ends, if only remarks on the translation stand between ``at`` and a delimiter."""
    words = head.words
    end = next((end for end in range(at, len(words)) if words[end] in _COLONS or words[end] in _BREAKS), None)
    if end is None:
        return None
    piece: list[str] = []
    for word in [*words[at:end], "."]:
        if word[0].isalnum():
            piece.append(word)
        elif word not in _QUOTES:
            if piece and not _REMARKS.intersection(piece) and not _SMALL_TALK.issuperset(piece):
                return None
            piece = []
    token = head.tokens[end]
    return token.end() if words[end] in _COLONS else token.start()


def _text_start(text: str, at: int) -> int:
    """Skip the white space after a delimiter, but not the indentation of the first line."""
    blank = len(text) - len(text[at:].lstrip())
    line = max(text.rfind("\n", at, blank), text.rfind("\r", at, blank)) + 1
    return line if line > at else blank


def _inside_labels(text: str, begin: int, source: str | None, target: str | None) -> tuple[int, int]:
    """Narrow the text to what stands between labels, as in "Source Text: ..." with a last line "Translated Text:"."""
    end = len(text.rstrip())
    last = max(text.rfind("\n", begin, end), text.rfind("\r", begin, end))
    closing = text[last + 1 : end].strip() if end - last <= _HEAD_CHARS else ""
    opening, colon, _ = text[begin : begin + _HEAD_CHARS].partition(":")
    sources = {*_SOURCE_LABELS, (source or "").lower()}
    targets = {*_TARGET_LABELS, (target or "").lower()}
    if last < begin or not colon or closing[-1:] != ":" or opening.strip().lower() not in sources:
        return begin, len(text)
    if closing[:-1].strip().lower() not in targets:
        return begin, len(text)
    start = _text_start(text, begin + len(opening) + 1)
    return (start, len(text[:last].rstrip())) if text[start:last].strip() else (begin, len(text))


def _parse_chinese(text: str, deployed: Collection[str] | None) -> Instruction | None:
    match = re.match(_CHINESE, text[:_HEAD_CHARS])
    if match is None:
        return None
    begin = _text_start(text, match.end())
    named = language_candidates(match["target"]) or match["target"].endswith(("语", "文"))
    if not named or not text[begin:].strip():
        return None
    return Instruction(None, _code(match["target"], deployed), text[begin:])


def _code(slot: str | None, deployed: Collection[str] | None) -> str | None:
    return None if slot is None else parse_language(slot, deployed=deployed, param="messages")


def _search(text: str) -> tuple[str | None, str] | None:
    """Return the source, if named, and the target that all sentences of a system message agree on."""
    head = _Head(text)
    pairs: list[tuple[str | None, str]] = []
    unknown: str | None = None
    tries = _MAX_TRIES
    for first, stop in _sentences(head.words):
        found = list(_pairs_of_line(head, first, stop))
        if not found and any(word.startswith("translat") for word in head.words[first:stop]):
            tries -= sum(word in _PREPOSITIONS for word in head.words[first:stop])
            if tries < 0:
                break
            found = list(_pairs_of_sentence(head, first, stop))
            unknown = unknown or (None if found else _unknown_target(head, first, stop))
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
        if word in _STOPS or word in _BREAKS:
            if at > first:
                yield first, at
            first = at + 1


def _pairs_of_line(head: _Head, first: int, stop: int) -> Iterator[tuple[str | None, str]]:
    """Read a sentence that is nothing but a pair: "English to French", "en -> fr", "eng_Latn-fra_Latn"."""
    first += head.words[first] == "from"
    if stop - first > 2 * _SLOT_TOKENS + 1 or first == stop:
        return
    for at in range(first + 1, stop - 1):
        if head.words[at] in _PREPOSITIONS - {"from", "in"} or head.words[at] in {"-", "\u2013"}:
            source, target = head.raw(first, at), head.raw(at + 1, stop)
            if language_candidates(source) and language_candidates(target):
                yield source, target
    if stop - first == 1:
        pair = head.raw(first, stop)
        for dash in re.finditer("-", pair[:80]):
            source, target = pair[: dash.start()], pair[dash.end() :]
            # "en-fr" is a pair here, "zh-Hant" and "zh-TW" are one language.
            if "_" in pair and language_candidates(source) and language_candidates(target):
                yield source, target


def _pairs_of_sentence(head: _Head, first: int, stop: int) -> Iterator[tuple[str | None, str]]:
    """Find "<language> to <language>", "to <language>" and "<language> native translator" in a sentence."""
    words = head.words
    verb = next(at for at in range(first, stop) if words[at].startswith("translat"))
    places = [at for at in range(first, stop) if words[at] in _PREPOSITIONS]
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


def _pair_around(head: _Head, at: int, first: int, stop: int, verb: int) -> tuple[str | None, str] | None:
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
    while at > verb + 1 and words[at - 1] in _OBJECT:
        at -= 1
    return at


def _ends_target(words: list[str], at: int, stop: int) -> bool:
    """Tell "to French, please" from "to French customers"."""
    return at >= stop or not words[at][0].isalnum() or words[at] in _AFTER_TARGET or words[at] in _PREPOSITIONS


def _is_code(slot: str) -> bool:
    return len(slot) <= 3 and slot.islower()  # noqa: PLR2004 - ISO 639


def _unknown_target(head: _Head, first: int, stop: int) -> str | None:
    """Return what stands in a language's place at the end of a sentence: "You translate English to Klingon."."""
    words = head.words
    verb = next(at for at in range(first, stop) if words[at].startswith("translat"))
    for at in range(verb + 1, stop):
        if words[at] in {"to", "into"}:
            before = _object_start(words, at, verb)
            unknown = head.unknown_language(at + 1)
            clear = before == verb + 1 or head.language_before(before, verb + 1) is not None
            if clear and unknown and unknown[1] >= stop and unknown[0][0].isupper():
                return unknown[0]
    return None
