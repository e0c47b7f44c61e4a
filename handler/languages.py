"""The languages NLLB knows, by every code and English name a client may write.

Accepted, in any case, with ``-`` or ``_``: FLORES-200 codes, ISO 639-1, 639-2/B and 639-3, BCP-47, English names.
What decides where several codes could be meant:

* A macrolanguage is the form NLLB has: ``ar`` is ``arb_Arab``, ``no`` is ``nob_Latn``, ``ku`` is ``kmr_Latn``. Where it
  has several and the model serves only another one, that one: ``zh`` is ``zho_Hant`` on a server without ``zho_Hans``.
* A script is binding. ``sr-Latn`` is refused, not answered in Cyrillic: NLLB writes Serbian in Cyrillic only, and a
  reader who asks for Latin may not read it. The error names ``srp_Cyrl``, ``hrv_Latn`` and ``bos_Latn``.
* A region decides only where it changes the script or the standard (``zh-TW``, ``zh-HK``, ``fa-AF``, ``az-IR``), and is
  ignored elsewhere. ``ar-EG`` is Standard Arabic as written in Egypt; the dialects have codes of their own (``arz``,
  also ``ar-arz``).
* Serbo-Croatian (``sh``, ``hbs``) could be three codes in two scripts, so it is refused.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cache

from handler.errors import UnsupportedLanguageError
from handler.language_data import (
    ALSO_WRITTEN,
    COUNTRIES,
    EXTENDED,
    FLORES_200,
    NAMES,
    REGIONS,
    RELATED,
    SCRIPT_WORDS,
    SUBTAGS,
    UNDECIDED,
)

__all__ = ["FLORES_200", "language_candidates", "lookup_language", "parse_language"]

_WHITE_SPACE = " \t\n\r\f\v"
_MAX_CHARS = 80
"""Longer than any code or name; what exceeds it is no language, however long it is."""
_NEAREST = 5
_COMMON = ("eng_Latn", "fra_Latn", "spa_Latn", "zho_Hans", "arb_Arab")
"""Suggested where a text resembles no language at all."""


def parse_language(text: str, *, deployed: Collection[str] | None = None, param: str | None = None) -> str:
    """Return the code that ``text`` names.

    Args:
        text: A code or an English name; white space around it is ignored.
        deployed: The codes the model serves, its own spellings included; ``None`` stands for all of FLORES-200.
        param: The request field an error blames.

    Raises:
        UnsupportedLanguageError: No language is called that, or the model does not serve it; names the nearest codes.
    """
    served: Collection[str] = FLORES_200 if deployed is None else deployed
    if text in served:
        return text
    # Cut first: one character more than is ever accepted keeps a long text too long.
    name = text[: _MAX_CHARS + 1] if len(text) > 2 * _MAX_CHARS else text.strip(_WHITE_SPACE)
    if name in served:
        return name
    for code in language_candidates(name):
        if code in served:
            return code
    folded = name.casefold()
    for code in served if deployed is not None else ():
        if code.casefold() == folded:
            return code
    raise UnsupportedLanguageError(text[: 2 * _MAX_CHARS], nearest=_nearest(name, served), param=param)


def lookup_language(text: str) -> str | None:
    """Return the FLORES-200 code that ``text`` names, ``None`` if it names none."""
    return next(iter(language_candidates(text)), None)


def language_candidates(text: str) -> tuple[str, ...]:
    """Return every code ``text`` may stand for, the usual one first: ``zh`` is either of two, ``zh-TW`` one."""
    if text in FLORES_200:
        return (text,)
    if len(text) > 2 * _MAX_CHARS:
        return ()
    name = text.strip(_WHITE_SPACE)
    if not name or len(name) > _MAX_CHARS:
        return ()
    return _by_tag(name) or _by_name(name) or _by_name_and_tag(name)


@cache
def _by_subtag() -> dict[str, tuple[str, ...]]:
    """Index the codes by language subtag."""
    own: dict[str, tuple[str, ...]] = {code[:3]: (code,) for code in FLORES_200}
    return own | {subtag: tuple(codes.split()) for subtag, codes in SUBTAGS.items()}


@cache
def _by_key() -> dict[str, tuple[str, ...]]:
    """Index the codes by the key of each English name."""
    index: dict[str, tuple[str, ...]] = {_key(name): (code,) for code, name in FLORES_200.items()}
    for name, code in NAMES.items():
        index[_key(name)] = (code,) if code in FLORES_200 else _by_subtag()[code]
    return index


def _subtags(tag: str) -> list[str]:
    """Split a BCP-47 tag in lower case, an extended language in the place of its prefix; empty if it is none."""
    subtags = tag.lower().replace("_", "-").split("-")
    if not all(subtag.isascii() and subtag.isalnum() and len(subtag) <= 8 for subtag in subtags):  # noqa: PLR2004 - BCP-47
        return []
    if len(subtags) > 1 and subtags[1] in EXTENDED.get(subtags[0], "").split():
        del subtags[0]
    return subtags


def _by_tag(tag: str) -> tuple[str, ...]:
    """Resolve a BCP-47 tag: language, script, region, variants and extensions, in that order."""
    language, *rest = _subtags(tag) or [""]
    codes = _by_subtag().get(language, ())
    if not codes:
        return ()
    script = region = ""
    if rest and len(rest[0]) == 4 and rest[0].isalpha():  # noqa: PLR2004 - a script has four letters
        script = rest.pop(0).title()
    elif rest and rest[0] in SCRIPT_WORDS:  # "sr_Latin" is no tag, and passing it as a variant would lose the script
        script = SCRIPT_WORDS[rest.pop(0)]
    if rest and ((len(rest[0]) == 2 and rest[0].isalpha()) or (len(rest[0]) == 3 and rest[0].isdigit())):  # noqa: PLR2004
        region = rest.pop(0)
    while rest and (len(rest[0]) > 4 or (len(rest[0]) == 4 and rest[0][0].isdigit())):  # noqa: PLR2004 - variants
        del rest[0]
    if rest and (len(rest[0]) > 1 or len(rest) == 1):  # only an extension may follow: a letter and what belongs to it
        return ()
    if script:
        return _written_in(script, codes)
    return _spoken_in(region, codes) if region else codes


def _spoken_in(region: str, codes: tuple[str, ...]) -> tuple[str, ...]:
    code = REGIONS.get(codes[0], {}).get(region, codes[0])
    return (code,) if code in codes else codes[: bool(code)]


def _written_in(script: str, codes: Iterable[str]) -> tuple[str, ...]:
    return tuple(code for code in codes if script in (code[4:], ALSO_WRITTEN.get(code)))


def _key(name: str) -> str:
    """Reduce a name to its sorted words, without case, accents and the words that any language's name may carry.

    Word order is free in practice: "Chinese (Traditional)", "Traditional Chinese", "Norwegian, Bokmål".
    """
    folded = name.casefold()
    if not folded.isascii():
        from unicodedata import combining, normalize  # noqa: PLC0415 - an extension module that few requests need

        folded = "".join(char for char in normalize("NFKD", folded) if not combining(char))
    folded = folded.replace("'", "").replace("\u2019", "")
    words = "".join(char if char.isalnum() else " " for char in folded).split()
    if words[:1] == ["the"]:
        del words[0]
    return " ".join(sorted(word for word in words if word not in {"language", "script"}))


def _split_script(key: str) -> tuple[str, str]:
    """Take the word for a script out of a name's key: ("serbian", "Latn") of "latin serbian"."""
    words = key.split()
    scripts = [word for word in words if word in SCRIPT_WORDS]
    # "Arabic" and "Hebrew" are languages too: alone they are no script.
    if len(scripts) != 1 or len(words) == 1:
        return key, ""
    words.remove(scripts[0])
    return " ".join(words), SCRIPT_WORDS[scripts[0]]


def _by_name(name: str) -> tuple[str, ...]:
    """Resolve an English name, with or without the name of a script."""
    if not (name[0].isalnum() and (name[-1].isalnum() or name[-1] == ")")):
        return ()
    if not all(char.isalnum() or char.isspace() or char in "()'\u2019-_,\u0300\u0301\u030a" for char in name):
        return ()
    key = _key(name)
    if codes := _by_key().get(key):
        return codes
    language, script = _split_script(key)
    return _written_in(script, _by_key().get(language, ())) if script else ()


def _by_name_and_tag(name: str) -> tuple[str, ...]:
    """Resolve "Portuguese (pt-BR)" and "Portuguese (Brazil)": both must mean one language, and the narrower decides."""
    outer, bracket, inner = name.rpartition("(")
    inner, closing, nothing = inner.partition(")")
    outer, inner = outer.strip(_WHITE_SPACE), inner.strip(_WHITE_SPACE)
    if not (bracket and closing and outer and inner) or nothing:
        return ()
    named = _by_name(outer)
    if named and (region := COUNTRIES.get(_key(inner))):
        return _spoken_in(region, named)
    tagged = _by_tag(inner) or _by_name(inner)
    return tuple(code for code in tagged if code in named)


def _nearest(name: str, served: Collection[str]) -> list[str]:
    """List the served codes closest to ``name``: the same language, its relatives, then what is spelled alike."""
    found = [code for code in dict.fromkeys(_same_or_related(name)) if code in served]
    if len(found) < _NEAREST:
        found += [code for code in _spelled_alike(name, served) if code not in found]
    if len(served) <= _NEAREST:
        found += [code for code in sorted(served) if code not in found]  # so few are best all named
    return (found or [code for code in _COMMON if code in served] or sorted(served))[:_NEAREST]


def _same_or_related(name: str) -> Iterator[str]:
    if not name or len(name) > _MAX_CHARS:
        return
    subtags, key = _subtags(name), _key(name)
    language, _ = _split_script(key)
    undecided = UNDECIDED.get(subtags[0] if subtags else key) or UNDECIDED.get(key) or UNDECIDED.get(language, "")
    same = undecided.split() or (
        language_candidates(name)
        or (_by_subtag().get(subtags[0]) if subtags else ())
        or _by_key().get(key)
        or _by_key().get(language, ())
    )
    yield from same
    for group in RELATED:
        if any(code in group for code in same):
            yield from group.split()


def _spelled_alike(name: str, served: Collection[str]) -> list[str]:
    """Rank the served codes by the letter pairs that a name or code of theirs shares with ``name`` (Dice)."""
    wanted = _letter_pairs(name[:_MAX_CHARS])
    scores = dict.fromkeys(served, 0.0)
    spellings = [(code, (code,)) for code in served] + list(_by_subtag().items()) + list(_by_key().items())
    for spelling, codes in spellings:
        pairs = _letter_pairs(spelling)
        score = 2 * len(wanted & pairs) / (len(wanted) + len(pairs) or 1)
        for code in codes:
            if scores.get(code, score) < score:
                scores[code] = score
    best = max(scores.values(), default=0.0)
    # Half as alike as the best is noise; the sort is stable, so equals keep the order they are served in.
    ranked = sorted(scores, key=lambda code: -scores[code])
    return [code for code in ranked[:_NEAREST] if scores[code] > best / 2]


def _letter_pairs(text: str) -> set[str]:
    padded = f" {text.casefold().replace('_', '-')} "
    return {padded[at : at + 2] for at in range(len(padded) - 1)}
