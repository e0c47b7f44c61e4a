"""Translation instructions written in words: "Translate from English to French: ...".

A user message is an instruction only if it starts with one and marks where the text begins: with a colon, or with a
line break after a complete instruction. Words between "translate" and the languages come from a closed list ("the
following text", "this sentence"), so "Translate to the best of your ability." stays a sentence. What a language slot
holds decides the rest: a known language is used; an unknown one is an error where it looks like a language ("Klingon",
"Old English", "xx-YY", or any single word right before a colon); anything else makes the message plain text.

A user message may also start with a paragraph that makes a translator of the model ("You are a professional French
native translator ..."), where clients have no system message. Such a paragraph could be the start of a letter, so its
form is narrow and a blank line must follow.

A system message is prose, so its sentences are searched. Contradicting ones ("translate French to English, otherwise to
French") name no language.

The work is bounded: only the head of a message is read, and only a handful of words can be a language's name.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from handler.instruction_head import Head
from handler.instruction_order import opens_with_rules, order_starts, order_starts_after_persona, read_order
from handler.instruction_prose import find_pair, read_persona
from handler.languages import language_candidates, parse_language

_HEAD_CHARS = 1200
"""TranslateGemma's prompt has 560 characters and repeats both languages several times."""
_SYSTEM_CHARS = 4000
_SOURCE_LABELS = frozenset(("source text", "source", "text", "input"))
_TARGET_LABELS = frozenset(("translated text", "translation", "target text", "output"))

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
    head = Head(text[:_HEAD_CHARS])
    for start in order_starts(head):
        order = read_order(head, start)
        if order is None:
            continue
        source, target, end = order
        begin = _text_start(text, end)
        if not text[begin:].strip():
            continue
        if start and (role := find_pair(head.text[:end])):
            # "You are a Chinese (zh-TW) to English (en) translator. [...] translate the following Chinese text": the
            # first sentence is the more precise.
            source, target = role[0] or source, role[1]
        begin, end = _inside_labels(text, begin, source, target)
        return Instruction(_code(source, deployed), _code(target, deployed), text[begin:end])
    return _parse_persona(text, deployed)


def parse_system_instruction(text: str, *, deployed: Collection[str] | None = None) -> Instruction | None:
    """Return the languages a system message names, ``None`` if it names no target or contradicts itself.

    Args:
        text: A system message.
        deployed: The codes the model serves, see :func:`handler.languages.parse_language`.

    Raises:
        UnsupportedLanguageError: The message clearly names a language, and it is unknown or not served.
    """
    found = find_pair(text[:_SYSTEM_CHARS])
    if found is None:
        return None
    return Instruction(_code(found[0], deployed), _code(found[1], deployed), None)


def _parse_persona(text: str, deployed: Collection[str] | None) -> Instruction | None:
    """Read a paragraph that makes a translator of the model, and the order that may follow it."""
    persona = read_persona(text[:_HEAD_CHARS])
    if persona is None:
        return None
    source, target, end = persona
    head = Head(text[end : end + _HEAD_CHARS])
    order = next(filter(None, (read_order(head, start) for start in order_starts_after_persona(head))), None)
    if order is not None:
        ordered_source, ordered_target, length = order
        if ordered_target and set(language_candidates(target)).isdisjoint(language_candidates(ordered_target)):
            source = None  # it belongs to the other pair
        source, target, end = ordered_source or source, ordered_target or target, end + length
    elif opens_with_rules(head):
        return None
    begin = _text_start(text, end)
    if not text[begin:].strip():
        return None
    return Instruction(_code(source, deployed), _code(target, deployed), text[begin:])


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
    sources = _SOURCE_LABELS | {(source or "").lower()}
    targets = _TARGET_LABELS | {(target or "").lower()}
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
