"""Orders in a user message: "Translate the following text from English to French, please:"."""

from collections.abc import Iterator

from handler.instruction_head import BREAKS, COLONS, OBJECT, PREPOSITIONS, QUALIFIERS, QUOTES, STOPS, Head

_POLITE = frozenset((
    "please", "kindly", "now", "can you", "can you please", "could you", "could you please", "please can you",
    "please could you", "would you", "would you please", "i want you to", "i need you to", "i would like you to",
))  # fmt: skip
_SMALL_TALK = frozenset("please for me us now thanks thank you and".split()) | QUALIFIERS
_RULES = frozenset("guidelines instructions requirements rules".split())
"""Words of a heading that what follows is no text to translate."""
_REMARKS = frozenset(
    (
        "additional comment comments commentary else explain explanation explanations extra format formatting keep "
        "keeping literally maintain maintaining markdown meaning notes output preserve preserving produce quotation "
        "remarks reply respond return style tags tone translate translated translation translations verbatim"
    ).split()
)
"""Words of which a remark after the languages has one: "without additional explanation", "output translation only"."""


def order_starts(head: Head) -> Iterator[int]:
    """Yield where an order may begin: the first word, or a sentence after "You are a translator."."""
    words = head.words
    first = next((at for at, word in enumerate(words) if word not in BREAKS), 0)
    yield first
    if words[first : first + 2] != ["you", "are"]:
        return
    about = False
    for at in range(first + 2, len(words)):
        about = about or words[at].startswith("translat")
        if words[at - 1] in BREAKS and words[at] in BREAKS:
            return
        if about and (words[at - 1] in BREAKS or words[at - 1] in STOPS) and words[at] not in BREAKS:
            yield at


def order_starts_after_persona(head: Head) -> list[int]:
    """Return where an order may begin that follows "You are a translator who ...": at once, or after its rules."""
    words = head.words
    starts = [
        at for at, word in enumerate(words) if word not in BREAKS and BREAKS.issuperset(words[max(0, at - 2) : at])
    ]
    return starts if opens_with_rules(head) else starts[:1]


def opens_with_rules(head: Head) -> bool:
    """Tell whether a heading announces more instructions: "## Translation Rules"."""
    line = head.text.lstrip().partition("\n")[0].lower()
    return line.startswith("#") and not _RULES.isdisjoint(line.split())


def read_order(  # noqa: C901, PLR0912 - one branch for each kind of word
    head: Head, start: int
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
        if word in PREPOSITIONS:
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
        elif word in OBJECT or (word in QUOTES and target is None):
            at += 1
        elif target is None and within is None and (slot := head.language(at, len(words))):
            source, at = slot
        elif target is None and within is None and head.tokens[at].group()[0].isupper():
            unknown = head.unknown_language(at)
            # "Klingon to French" and "the Klingon text" name a language, "the Bible" does not.
            if unknown is None or (words[at - 1] != "translate" and not OBJECT.intersection(words[unknown[1] :][:1])):
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


def _delimiter_end(head: Head, at: int) -> int | None:
    """Return where the order ends, if only remarks on the translation stand between ``at`` and a delimiter."""
    words = head.words
    end = next((end for end in range(at, len(words)) if words[end] in COLONS or words[end] in BREAKS), None)
    if end is None:
        return None
    piece: list[str] = []
    for word in [*words[at:end], "."]:
        if word[0].isalnum():
            piece.append(word)
        elif word not in QUOTES:
            if piece and not _REMARKS.intersection(piece) and not _SMALL_TALK.issuperset(piece):
                return None
            piece = []
    token = head.tokens[end]
    return token.end() if words[end] in COLONS else token.start()
