"""Chat messages to what the model is asked: source text, source language, target language.

One function per convention. For each of the two languages the first convention that names it wins:

1. the body's ``source_lang`` and ``target_lang``;
2. a content part with ``source_lang_code`` and ``target_lang_code`` (TranslateGemma's form);
3. ``chat_template_kwargs`` (llama.cpp's form);
4. a suffix of the model's name (``:eng_Latn-fra_Latn``, ``:fra_Latn``);
5. an instruction at the head of the user's message, then one in a system message;
6. the model's configured default.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from handler.errors import InvalidRequestError, MissingTargetLanguageError, UnsupportedLanguageError, shorten
from handler.instructions import parse_system_instruction, parse_user_instruction
from handler.languages import lookup_language, parse_language
from handler.schemas import ChatCompletionRequest, ContentPart, Message
from handler.settings import AUTO

_REGION_LENGTH = 2
"""ISO 3166-1 regions of BCP-47 tags have two letters."""

_FALLBACK_SOURCE = "eng_Latn"
"""Stands for a text without letters or in letters nobody deployed; the source language of NLLB's own tokenizer."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine gets; languages are FLORES-200 codes, and empty for T5."""

    text: str
    source_lang: str = ""
    target_lang: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """Languages as one convention names them, unchecked, and the request field they stand in."""

    source: str | None = None
    target: str | None = None
    source_param: str = "messages"
    target_param: str = "messages"


def t5_prompt(request: ChatCompletionRequest) -> Prompt:
    """Return the user's text behind the task prefix, which is what a system message is to T5.

    Raises:
        InvalidRequestError: There is no text of the user.
    """
    _, message = _last_user_message(request.messages)
    user = user_text(message)
    prefix = " ".join(filter(None, (text.strip() for text in _system_texts(request.messages))))
    return Prompt(f"{prefix} {user}" if prefix else user)


def nllb_prompt(
    request: ChatCompletionRequest,
    *,
    suffix: Named | None = None,
    default_source: str,
    default_target: str | None,
    deployed: Collection[str],
) -> Prompt:
    """Return the user's text without its instruction, and the languages.

    Args:
        request: The request.
        suffix: Languages that the model's name ends in.
        default_source: Language of a text when nobody names one: a code, or ``auto``.
        default_target: Language to translate into when nobody names one.
        deployed: Codes of the model.

    Raises:
        InvalidRequestError: There is no text of the user.
        UnsupportedLanguageError: A language is unknown or not deployed.
        MissingTargetLanguageError: Nobody names a target language.
    """
    index, message = _last_user_message(request.messages)
    text = user_text(message)
    conventions = [
        Named(request.source_lang, request.target_lang, "source_lang", "target_lang"),
        *_from_content_parts(message, f"messages[{index}].content"),
        _from_template_kwargs(request),
        suffix or Named(),
    ]
    try:
        text, instructed = _from_instructions(text, request.messages, deployed)
        conventions += instructed
    except UnsupportedLanguageError as error:
        # Where an earlier convention names the target, words that look like an instruction are text.
        if all(named.target is None for named in conventions):
            error.param = "messages"
            raise
    target, target_param = next(
        ((named.target, named.target_param) for named in conventions if named.target is not None),
        (default_target, "target_lang"),
    )
    if target is None:
        raise MissingTargetLanguageError
    target_lang = parse_language(target, deployed=deployed, param=target_param)
    source, source_param = next(
        ((named.source, named.source_param) for named in conventions if named.source is not None), (None, "")
    )
    if source is not None and not _is_auto(source):
        source_lang = parse_language(source, deployed=deployed, param=source_param)
    elif source is None and not _is_auto(default_source):
        source_lang = parse_language(default_source, deployed=deployed)
    else:
        source_lang = _detect(text, deployed, asked_for=source is not None)
    return Prompt(text, source_lang, target_lang)


def _is_auto(language: str) -> bool:
    return language.strip().lower() == AUTO


def _detect(text: str, deployed: Collection[str], *, asked_for: bool) -> str:
    """Return the language of ``text``; what cannot be told is an error for a client that asked, else English."""
    from handler.detector import detect_language  # noqa: PLC0415 - costs nothing until it is asked for

    try:
        return detect_language(text, deployed=deployed)
    except InvalidRequestError:
        if asked_for:
            raise
        return _FALLBACK_SOURCE if _FALLBACK_SOURCE in deployed else min(deployed)


def parse_suffix(suffix: str) -> Named | None:
    """Read what stands behind the colon of a model's name: ``fra_Latn``, ``eng_Latn-fra_Latn``, ``en-fr``.

    ``en-fr`` could be the English of France; it is a pair, unless the second half is a region by capitals (``fr-CA``)
    or by what it changes (``zh-tw``). What can be read in two ways, or in none (``en-fr-de``), names nothing.
    """
    if _is_tag(suffix, suffix):
        return Named(None, suffix, target_param="model")
    pairs = [
        Named(source, target, "model", "model")
        for index, character in enumerate(suffix)
        if character == "-"
        and (_is_tag(source := suffix[:index], suffix) or _is_auto(source))
        and _is_tag(target := suffix[index + 1 :], suffix)
    ]
    return pairs[0] if len(pairs) == 1 else None


def _is_tag(tag: str, suffix: str) -> bool:
    """Whether ``tag``, a part of ``suffix``, names one language, and not possibly two, as ``fr-de`` does."""
    language = lookup_language(tag)
    rest, dash, region = tag.rpartition("-")
    if language is None or not dash or len(region) != _REGION_LENGTH or rest.lower() == region.lower():
        return language is not None
    # Capitals mean nothing where there is nothing else.
    by_capitals = region.isupper() and not suffix.isupper()
    return by_capitals or lookup_language(rest) != language or lookup_language(region) is None


def user_text(message: Message) -> str:
    """Return the text of a user's message, its parts joined with a line break.

    Raises:
        InvalidRequestError: The message has no text.
    """
    text = _text(message)
    if text is None:
        error = "The last user message has no text."
        raise InvalidRequestError(error, param="messages")
    return text


def _text(message: Message) -> str | None:
    if isinstance(message.content, str):
        return message.content
    texts = [part.text for part in _parts(message) if part.text is not None]
    return "\n".join(texts) if texts else None


def _last_user_message(messages: Sequence[Message]) -> tuple[int, Message]:
    for index in reversed(range(len(messages))):
        if messages[index].role == "user":
            return index, messages[index]
    error = "There is no message of the role 'user'."
    raise InvalidRequestError(error, param="messages")


def _parts(message: Message) -> Sequence[ContentPart]:
    return message.content if isinstance(message.content, list) else ()


def _system_texts(messages: Sequence[Message]) -> Iterator[str]:
    for message in messages:
        if message.role in {"system", "developer"}:
            yield _text(message) or ""


def _from_content_parts(message: Message, param: str) -> Iterator[Named]:
    for name in ("source_lang_code", "target_lang_code"):
        codes = {code for part in _parts(message) if (code := getattr(part, name)) is not None}
        if len(codes) > 1:
            several = " and ".join(sorted(map(shorten, codes))[:3])
            error = f"The parts of a message are translated as one text, and '{name}' is {several}."
            raise InvalidRequestError(error, param=param)
    for index, part in enumerate(_parts(message)):
        at = f"{param}[{index}]"
        yield Named(part.source_lang_code, part.target_lang_code, f"{at}.source_lang_code", f"{at}.target_lang_code")


def _from_template_kwargs(request: ChatCompletionRequest) -> Named:
    kwargs = request.chat_template_kwargs
    if kwargs is None:
        return Named()
    param = "chat_template_kwargs"
    return Named(
        kwargs.source_lang_code, kwargs.target_lang_code, f"{param}.source_lang_code", f"{param}.target_lang_code"
    )


def _from_instructions(text: str, messages: Sequence[Message], deployed: Collection[str]) -> tuple[str, list[Named]]:
    """Return the user's text without the instruction it starts with, and the languages of every instruction."""
    named: list[Named] = []
    instruction = parse_user_instruction(text, deployed=deployed)
    if instruction is not None and instruction.text is not None:
        text = instruction.text
        named.append(Named(instruction.source, instruction.target))
    for system_text in _system_texts(messages):
        instruction = parse_system_instruction(system_text, deployed=deployed)
        if instruction is not None:
            named.append(Named(instruction.source, instruction.target))
    return text, named
