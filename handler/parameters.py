"""Wire parameters to decoding options, renamed once and here alone."""

from handler.catalog import ModelSpec
from handler.decoding_options import DecodingOptions
from handler.errors import InvalidRequestError
from handler.schemas import ChatCompletionRequest
from handler.settings import own_or_common

_SMALLEST = 1e-3
"""Below it there is one token left to draw, and single precision overflows soon after: the search is deterministic."""


def decoding_options(request: ChatCompletionRequest, spec: ModelSpec, *, max_choices: int) -> DecodingOptions:
    """Return the search that ``request`` asks for, the model's configured one where it asks for nothing.

    Raises:
        InvalidRequestError: ``n`` is above ``max_choices``, or the beam is wider than the model takes.
    """
    n = request.n or 1
    if n > max_choices:
        message = f"'n' is {n}; the limit is {max_choices}."
        raise InvalidRequestError(message, param="n")
    # What a beam has decoded is certain at the end of a sentence alone; a stream has one only if it asks for it.
    beam_size = own_or_common(request.beam_size, 1 if request.stream else spec.beam_size)
    if beam_size > spec.max_beam_size:
        message = f"'beam_size' is {beam_size}; the limit of this model is {spec.max_beam_size}."
        raise InvalidRequestError(message, param="beam_size")
    limits = [limit for limit in (request.max_tokens, request.max_completion_tokens) if limit is not None]
    sampling = _asks_for_sampling(request)
    return DecodingOptions(
        beam_size=beam_size,
        length_penalty=own_or_common(request.length_penalty, spec.length_penalty),
        repetition_penalty=_penalty(request) * own_or_common(request.repetition_penalty, spec.repetition_penalty),
        no_repeat_ngram_size=own_or_common(request.no_repeat_ngram_size, spec.no_repeat_ngram_size),
        num_hypotheses=n,
        max_completion_tokens=min(limits, default=None),
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        sampling=sampling,
        sampling_temperature=(request.temperature or 1.0) if sampling else 1.0,
        sampling_topp=(request.top_p or 1.0) if sampling else 1.0,
        logprobs=bool(request.logprobs),
    )


def _asks_for_sampling(request: ChatCompletionRequest) -> bool:
    """Tell whether a client wants random answers: chat clients send OpenAI's defaults of 1 without meaning them."""
    if any(value is not None and value < _SMALLEST for value in (request.temperature, request.top_p)):
        return False
    return request.temperature not in {None, 1} or request.top_p not in {None, 1}


def _penalty(request: ChatCompletionRequest) -> float:
    """Return the two penalties of OpenAI as a factor on CTranslate2's ``repetition_penalty``.

    OpenAI subtracts a penalty of -2..2 from the logits of repeated tokens, CTranslate2 divides those logits (Keskar et
    al. 2019, section 4.1): 2 ** (penalty / 2) maps the neutral 0 to the neutral 1 and the ends to a half and twice.
    """
    penalty = (request.frequency_penalty or 0.0) + (request.presence_penalty or 0.0)
    return float(2 ** (max(-2.0, min(2.0, penalty)) / 2))
