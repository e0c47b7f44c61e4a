"""What transformers itself makes of the verification text: the answers a bake is held to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from handler.settings import Family
from model_bake.errors import CheckpointError
from model_bake.golden import GoldenRequest
from model_bake.m2m100 import flores_code
from model_bake.progress import Progress
from model_bake.transformers_model import LoadedModel

BEAM_SIZES = (1, 4)
"""Greedy, and the server's default search."""

MAX_TOKENS = 48
"""Tokens of an answer that are compared: a model that never ends, as random weights make one, stays cheap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One request and what transformers makes of it, as ids of the checkpoint's vocabulary."""

    request: GoldenRequest
    source: tuple[int, ...]
    answers: dict[int, tuple[int, ...]]
    """Ids by beam size, without the decoder's start, language code and end; at most ``MAX_TOKENS``."""
    forced: tuple[int, ...]
    """The greedy answer whole: language code first where there is one, the end where the model came to it."""
    log_probs: tuple[float, ...]
    """Of each of ``forced``, given those before it."""
    margins: tuple[float, ...]
    """By how much each of them is likelier than the next best, in log-probability."""
    prefix: int
    """Tokens at the head of ``forced`` that are no part of the answer: the language code."""


def generate(
    loaded: LoadedModel, family: Family, requests: Sequence[GoldenRequest], progress: Progress
) -> list[Reference]:
    """Answer ``requests`` with transformers' own search in float32.

    Raises:
        CheckpointError: The model cannot generate.
    """
    import torch  # noqa: PLC0415 - a converted folder is baked without it
    import transformers  # noqa: PLC0415

    model, tokenizer = loaded.model, loaded.tokenizer
    # A generation_config.json may set a search of its own; compared is one search, the same on both sides.
    model.generation_config = transformers.GenerationConfig(
        decoder_start_token_id=model.config.decoder_start_token_id,
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id,
        do_sample=False,
        length_penalty=1.0,
        early_stopping=False,
    )
    references = []
    try:
        with progress.step("reference", len(requests), unit="texts") as advance, torch.inference_mode():
            for request in requests:
                references.append(_generate(model, tokenizer, family, request))
                advance(1)
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        message = f"transformers cannot generate with this checkpoint: {error}"
        raise CheckpointError(message) from None
    return references


def _generate(model: Any, tokenizer: Any, family: Family, request: GoldenRequest) -> Reference:  # noqa: ANN401
    import torch  # noqa: PLC0415

    prefix: list[int] = []
    if family == "nllb":
        tokens = _language_tokens(tokenizer)
        tokenizer.src_lang = tokens[request.source_lang].strip("_")
        prefix = [tokenizer.convert_tokens_to_ids(tokens[request.target_lang])]
    source = tokenizer(request.text).input_ids
    end = model.config.eos_token_id
    start = [model.config.decoder_start_token_id]
    answers: dict[int, tuple[int, ...]] = {}
    forced: list[int] = []
    for beam_size in BEAM_SIZES:
        ids = model.generate(
            torch.tensor([source]),
            num_beams=beam_size,
            max_new_tokens=MAX_TOKENS + len(prefix) + 1,
            forced_bos_token_id=prefix[0] if prefix else None,
        )[0].tolist()[1:]
        ids = ids[: ids.index(end) + 1] if end in ids else ids
        if beam_size == 1:
            forced = ids
        answers[beam_size] = tuple(ids[: -1 if ids[-1:] == [end] else None][len(prefix) :][:MAX_TOKENS])
    logits = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([start + forced[:-1]])).logits[0]
    distribution = logits.log_softmax(-1)
    log_probs = distribution.gather(1, torch.tensor(forced).unsqueeze(1)).squeeze(1).tolist()
    best, second = distribution.topk(2).values.T
    return Reference(
        request=request,
        source=tuple(source),
        answers=answers,
        forced=tuple(forced),
        log_probs=tuple(log_probs),
        margins=tuple((best - second).tolist()),
        prefix=len(prefix),
    )


def known_languages(loaded: LoadedModel) -> tuple[str, ...]:
    """Return the codes of an NLLB or M2M100 model, in FLORES-200's form."""
    return tuple(_language_tokens(loaded.tokenizer))


def _language_tokens(tokenizer: Any) -> dict[str, str]:  # noqa: ANN401 - transformers has no types
    """Return the tokenizer's language tokens by FLORES-200 code: ``eng_Latn`` itself, or M2M100's ``__en__``."""
    return {flores_code(token) or token: token for token in tokenizer.additional_special_tokens}
