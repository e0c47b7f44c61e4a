"""The start of a message as words and marks, and what may be a language's name among them."""

import re

from handler.language_data import SCRIPT_WORDS
from handler.languages import language_candidates

SLOT_TOKENS = 7
"""The longest name with a code: "Chinese ( Traditional ) ( zh-Hant )" and a word to spare."""

_TOKEN = r"\w+(?:['\u2019-]\w+)*|[-=]{1,2}>|\r\n?|\n|[^\w\s]"  # noqa: S105 - a token of text

BREAKS = frozenset(("\n", "\r", "\r\n"))
COLONS = frozenset(":\uff1a")
QUOTES = frozenset("\"'`*[]<>{}\u201c\u201d\u2018\u2019\u00ab\u00bb")
STOPS = frozenset(".!?;\u3002")
PREPOSITIONS = frozenset("from to into in -> --> => ==> \u2192 >".split())
OBJECT = frozenset(
    (
        "the this that these those it them all any every each everything following below above next given provided "
        "whole entire of my our your user user's users users' input source original short long plain text texts "
        "sentence sentences segment segments paragraph paragraphs message messages passage passages phrase phrases "
        "word words content document documents line lines string strings article email letter question title snippet "
        "subtitle subtitles caption captions description conversation story page language"
    ).split()
)
"""Words for the text that is to be translated: "the following text", "this user's messages"."""
QUALIFIERS = frozenset("the natural fluent idiomatic formal informal casual plain simple good correct proper".split())
"""Words between a preposition and a language: "into natural French"."""
_PRONOUNS = frozenset("me us him her you yourself everyone anyone someone something nothing".split())


class Head:
    """The start of a message: its tokens as they are written, and as words to compare."""

    def __init__(self, text: str) -> None:
        """Split ``text`` into words, arrows, line breaks and single marks."""
        self.text = text
        self.tokens = list(re.finditer(_TOKEN, text))
        self.words = [token.group().lower().replace("\u2019", "'") for token in self.tokens]

    def raw(self, start: int, stop: int) -> str:
        """Return the tokens from ``start`` up to ``stop`` with what stands between them."""
        return self.text[self.tokens[start].start() : self.tokens[stop - 1].end()] if start < stop else ""

    def language(self, start: int, stop: int) -> tuple[str, int] | None:
        """Return the longest language name at ``start`` and the index after it; quotes and qualifiers may precede."""
        while start < stop and (self.words[start] in QUOTES or self.words[start] in QUALIFIERS):
            start += 1
        stop = next((at for at in range(start, min(stop, start + SLOT_TOKENS)) if self.words[at] in BREAKS), stop)
        for end in range(min(stop, start + SLOT_TOKENS), start, -1):
            if language_candidates(self.raw(start, end)):
                after = end
                while after < stop and self.words[after] in QUOTES and self.words[after] != ">":
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
        while stop > first and self.words[stop - 1] in QUOTES:
            stop -= 1
        for start in range(max(first, stop - SLOT_TOKENS), stop):
            if language_candidates(self.raw(start, stop)):
                return self.raw(start, stop)
        return None

    def unknown_language(self, start: int) -> tuple[str, int] | None:
        """Return what looks like a language's name and is none, and the index after it."""
        words, size = self.words, len(self.words)
        while start < size and words[start] in QUOTES:
            start += 1
        end = start
        while end < size and words[end][0].isalnum() and words[end] not in OBJECT and words[end] not in PREPOSITIONS:
            end += 1
        slot = self.raw(start, end).split()
        single = len(slot) == 1 and (slot[0][:1].isupper() or (end < size and words[end] in COLONS) or "-" in slot[0])
        several = 1 < len(slot) <= 3 and all(word[0].isupper() for word in slot)  # noqa: PLR2004 - "Middle High German"
        known_kind = 1 < len(slot) <= 3 and bool(language_candidates(slot[-1])) and len(slot[-1]) > 3  # noqa: PLR2004
        if not (single or several or known_kind) or slot[0].isdigit() or slot[0].lower() in _PRONOUNS:
            return None
        if end < size and words[end] == "(" and ")" in words[end : end + 4]:
            end = words.index(")", end) + 1
        name = self.raw(start, end)
        while end < size and words[end] in QUOTES:
            end += 1
        return name, end
