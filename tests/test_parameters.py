"""Wire parameters to decoding options."""

from dataclasses import replace
from typing import Any

import pytest

from handler.catalog import ModelSpec, build_catalog
from handler.decoding_options import DecodingOptions
from handler.errors import InvalidRequestError
from handler.parameters import decoding_options
from handler.schemas import ChatCompletionRequest
from handler.settings import Settings


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    """A model whose configured search is not the default one."""
    settings = Settings(beam_size=3, length_penalty=0.5, repetition_penalty=2.0, no_repeat_ngram_size=4)
    return build_catalog(settings).models["nllb-demo"]


def _options(spec: ModelSpec, **fields: Any) -> DecodingOptions:
    request = ChatCompletionRequest.model_validate({"messages": [{"role": "user", "content": "x"}], **fields})
    return decoding_options(request, spec, max_choices=8)


def test_the_configured_search_serves_requests_that_say_nothing(spec: ModelSpec) -> None:
    """And each of its parts may be overridden."""
    options = _options(spec)
    assert (options.beam_size, options.length_penalty, options.no_repeat_ngram_size) == (3, 0.5, 4)
    assert options.repetition_penalty == 2.0

    options = _options(spec, beam_size=1, length_penalty=0, repetition_penalty=1, no_repeat_ngram_size=0)
    assert (options.beam_size, options.length_penalty, options.no_repeat_ngram_size) == (1, 0, 0)
    assert options.repetition_penalty == 1.0


@pytest.mark.parametrize(
    ("fields", "sampling"),
    [
        ({}, False),
        ({"temperature": 1, "top_p": 1}, False),
        ({"temperature": 0}, False),
        ({"temperature": 0, "top_p": 0.5}, False),
        ({"temperature": 0.7, "top_p": 0}, False),
        ({"temperature": 1e-40}, False),
        ({"top_p": 1e-300}, False),
        ({"temperature": 0.001}, True),
        ({"temperature": 0.7}, True),
        ({"top_p": 0.9}, True),
        ({"temperature": 1, "top_p": 0.9}, True),
        ({"temperature": 2, "top_p": 1}, True),
    ],
)
def test_only_values_that_ask_for_it_sample(spec: ModelSpec, fields: dict[str, float], *, sampling: bool) -> None:
    """OpenAI's defaults of 1 are sent by clients that mean nothing by them."""
    options = _options(spec, **fields)

    assert options.sampling is sampling
    if sampling:
        assert options.sampling_temperature == fields.get("temperature", 1)
        assert options.sampling_topp == fields.get("top_p", 1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 4}, 4),
    ],
)
def test_the_smaller_cap_wins(spec: ModelSpec, fields: dict[str, int], expected: int | None) -> None:
    """Either name, or both."""
    assert _options(spec, **fields).max_completion_tokens == expected


@pytest.mark.parametrize(
    ("fields", "factor"),
    [
        ({}, 1),
        ({"frequency_penalty": 2}, 2),
        ({"presence_penalty": -2}, 0.5),
        ({"frequency_penalty": 1, "presence_penalty": -1}, 1),
        ({"frequency_penalty": 2, "presence_penalty": 2}, 2),
    ],
)
def test_openais_penalties_scale_the_repetition_penalty(
    spec: ModelSpec, fields: dict[str, float], factor: float
) -> None:
    """Neutral at 0, a half and twice at the ends."""
    assert _options(spec, **fields).repetition_penalty == pytest.approx(2.0 * factor)


@pytest.mark.parametrize(("stop", "expected"), [(None, ()), ("a", ("a",)), (["a", "b"], ("a", "b"))])
def test_stop_is_a_string_or_a_list(spec: ModelSpec, stop: object, expected: tuple[str, ...]) -> None:
    """Both forms of OpenAI's."""
    assert _options(spec, stop=stop).stop == expected


def test_more_choices_than_allowed_are_refused(spec: ModelSpec) -> None:
    """Both sides of the limit."""
    assert _options(spec, n=8).num_hypotheses == 8
    with pytest.raises(InvalidRequestError, match="'n' is 9; the limit is 8"):
        _options(spec, n=9)


def test_a_beam_is_as_wide_as_the_model_allows(spec: ModelSpec) -> None:
    """A small vocabulary has too few candidates for a wide one."""
    narrow = replace(spec, max_beam_size=4)

    assert _options(narrow, beam_size=4).beam_size == 4
    with pytest.raises(InvalidRequestError, match="'beam_size' is 5; the limit of this model is 4") as caught:
        _options(narrow, beam_size=5)
    assert caught.value.param == "beam_size"
