"""The engine on the embedded models: right tokens, right limits, nothing dropped."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Lock, Semaphore

import pytest
from ctranslate2 import GenerationStepResult, Translator

from handler.cancellation import Cancellation
from handler.decoding_options import DecodingOptions
from handler.engine import Engine, Translation
from handler.errors import AbandonedError, ContextLengthExceededError, EngineError, UnsupportedLanguageError
from handler.settings import DEMO_MODELS
from handler.source import Source, SourceEncoder
from handler.tokenizer import load_tokenizer

BEAM = DecodingOptions(beam_size=4)
GREEDY = DecodingOptions()
HOTEL = "Where is the hotel?"


def _french(engine: Engine, text: str, options: DecodingOptions = BEAM) -> Translation:
    return engine.translate(text, source_lang="eng_Latn", target_lang="fra_Latn", options=options)


@pytest.mark.parametrize("options", [GREEDY, BEAM], ids=["greedy", "beam"])
@pytest.mark.parametrize(
    ("target_lang", "expected"),
    [("fra_Latn", "Où est l'hôtel ?"), ("deu_Latn", "Wo ist das Hotel?"), ("spa_Latn", "¿Dónde está el hotel?")],
)
def test_nllb_translates(nllb: Engine, options: DecodingOptions, target_lang: str, expected: str) -> None:
    """English into each of the other languages, by both searches."""
    translation = nllb.translate(HOTEL, source_lang="eng_Latn", target_lang=target_lang, options=options)

    assert translation.choices[0].text == expected
    assert translation.choices[0].finish_reason == "stop"


def test_t5_follows_its_prefix(t5: Engine) -> None:
    """The prompt is the whole text."""
    translation = t5.translate("translate English to German: I have lost my umbrella in Venice.", options=BEAM)

    assert translation.choices[0].text == "Ich habe meinen Regenschirm in Venedig verloren."


def test_the_shape_of_a_text_is_kept(nllb: Engine) -> None:
    """Lists, blank lines, indentation and Windows line ends."""
    text = "# Plan\r\n\r\n- Where is the hotel?\r\n  1. Good morning, Anna.\n\n\tI would like a coffee, please. \n"

    answer = _french(nllb, text).choices[0].text

    assert answer.startswith("# ")
    assert answer.endswith(
        "\r\n\r\n- Où est l'hôtel ?\r\n  1. Bonjour, Anna.\n\n\tJe voudrais un café, s'il vous plaît. \n"
    )


@pytest.mark.parametrize("text", ["", " ", "\n\n\t", "12:30", "---"])
def test_a_text_without_words_is_its_own_translation(nllb: Engine, text: str) -> None:
    """Nothing is decoded, nothing is counted."""
    translation = _french(nllb, text)

    assert (translation.choices[0].text, translation.prompt_tokens) == (text, 0)


def test_a_blank_prompt_is_not_given_to_t5(t5: Engine) -> None:
    """An empty prompt would make the model invent something."""
    assert t5.translate(" \n", options=BEAM).choices[0].text == " \n"


def test_adjacent_sentences_get_a_space_in_languages_that_have_one(nllb: Engine) -> None:
    """Two Chinese sentences touch; two French ones must not."""
    answer = (
        nllb.translate("你好。再见。", source_lang="eng_Latn", target_lang="fra_Latn", options=GREEDY).choices[0].text
    )

    assert " " in answer.strip()


@pytest.mark.parametrize(
    ("source_lang", "target_lang", "param"),
    [
        ("xxx_Xxxx", "fra_Latn", "source_lang"),
        ("eng_Latn", "<unk>", "target_lang"),
        ("eng_Latn", "zul_Latn", "target_lang"),
    ],
)
def test_a_language_is_checked_before_decoding(nllb: Engine, source_lang: str, target_lang: str, param: str) -> None:
    """CTranslate2 itself would decode an unknown one as <unk>."""
    with pytest.raises(UnsupportedLanguageError) as caught:
        nllb.translate(HOTEL, source_lang=source_lang, target_lang=target_lang, options=GREEDY)

    assert caught.value.param == param
    assert "eng_Latn" in str(caught.value)


def test_counts_are_the_tokens_read_and_written(nllb: Engine, t5: Engine) -> None:
    """Special tokens count as read and are no part of the answer."""
    tokenizer = nllb._tokenizer  # noqa: SLF001 - the same tokenizer, to count with

    translation = _french(nllb, HOTEL)

    assert translation.prompt_tokens == len(tokenizer.encode(HOTEL, "eng_Latn"))
    assert translation.choices[0].completion_tokens == len(tokenizer.encode("Où est l'hôtel ?", "fra_Latn")) - 2
    prompt = "translate English to French: Where is the hotel?"
    assert t5.translate(prompt, options=GREEDY).prompt_tokens == len(t5._tokenizer.encode(prompt, ""))  # noqa: SLF001


@pytest.mark.parametrize("options", [GREEDY, BEAM], ids=["greedy", "beam"])
def test_a_cap_at_the_answers_length_changes_nothing_and_one_less_cuts_it(
    nllb: Engine, options: DecodingOptions
) -> None:
    """Both sides of the limit."""
    whole = _french(nllb, HOTEL, options).choices[0]

    def capped(cap: int) -> DecodingOptions:
        return DecodingOptions(beam_size=options.beam_size, max_completion_tokens=cap)

    assert _french(nllb, HOTEL, capped(whole.completion_tokens)).choices[0] == whole
    cut = _french(nllb, HOTEL, capped(whole.completion_tokens - 1)).choices[0]
    assert (cut.completion_tokens, cut.finish_reason) == (whole.completion_tokens - 1, "length")


def test_a_sentence_longer_than_the_encoder_is_cut_and_nothing_is_dropped(nllb: Engine) -> None:
    """A thousand words without a full stop have far more tokens than the 256 positions, and each of them is read."""
    text = ", ".join(["we need a ticket"] * 250)

    translation = _french(nllb, text, GREEDY)

    assert translation.prompt_tokens >= len(nllb._tokenizer.encode(text, "eng_Latn")) > 1000  # noqa: SLF001
    assert translation.choices[0].text


@pytest.mark.parametrize(("tokens", "sentences"), [(256, 1), (257, 2)])
def test_a_sentence_of_exactly_the_encoders_positions_is_not_cut(nllb: Engine, tokens: int, sentences: int) -> None:
    """Both sides of the limit of 256, the language and the end token counted: a cut one needs them twice."""
    text = next(
        text
        for words in range(tokens)
        for text in (" ".join(["yes"] * words), " ".join(["yes"] * words) + "!")
        if len(nllb._tokenizer.encode(text, "eng_Latn")) == tokens  # noqa: SLF001
    )

    assert _french(nllb, text, GREEDY).prompt_tokens == tokens + 2 * (sentences - 1)


def test_t5_refuses_what_its_encoder_does_not_take(t5: Engine) -> None:
    """A prompt is not cut: its end may be what matters."""
    words = "Hello " * 600
    with pytest.raises(ContextLengthExceededError, match="512"):
        t5.translate(words, options=GREEDY)


def test_a_long_prompt_is_refused_before_anything_is_decoded(nllb: Engine) -> None:
    """The limit names both numbers; at the limit the text is translated."""
    tokens = _french(nllb, HOTEL, GREEDY).prompt_tokens

    def translate(limit: int) -> Translation:
        return nllb.translate(
            HOTEL, source_lang="eng_Latn", target_lang="fra_Latn", options=GREEDY, max_prompt_tokens=limit
        )

    assert translate(tokens).choices[0].text == "Où est l'hôtel ?"
    with pytest.raises(ContextLengthExceededError, match=f"{tokens} tokens; the limit is {tokens - 1}"):
        translate(tokens - 1)


class _Turn:
    """A lock that tells who comes to it."""

    def __init__(self) -> None:
        self.lock, self.arrived = Lock(), Semaphore(0)

    def __enter__(self) -> None:
        self.arrived.release()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_long_texts_are_tokenized_one_after_the_other(nllb: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short one does not wait for them, and one that nobody wants any more is not tokenized at all."""
    turn, encoded, encode = _Turn(), list[str](), SourceEncoder.encode

    def recording(encoder: SourceEncoder, text: str, *arguments: str, limit: int | None = None) -> Source:
        encoded.append(text)
        return encode(encoder, text, *arguments, limit=limit)

    monkeypatch.setattr("handler.engine._long_texts", turn)
    monkeypatch.setattr(SourceEncoder, "encode", recording)
    document, given_up = " ".join([HOTEL] * 300), Cancellation()

    def unwanted() -> Translation:
        return nllb.translate(
            document, source_lang="eng_Latn", target_lang="fra_Latn", options=GREEDY, cancellation=given_up
        )

    with ThreadPoolExecutor(3) as pool:
        with turn.lock:
            long, abandoned = pool.submit(_french, nllb, document, GREEDY), pool.submit(unwanted)
            assert all(turn.arrived.acquire(timeout=60) for _ in (long, abandoned))
            short = pool.submit(_french, nllb, HOTEL, GREEDY).result(timeout=60)
            given_up.cancel()
            assert encoded == [HOTEL]
        with pytest.raises(AbandonedError):
            abandoned.result(timeout=60)
        answer = long.result(timeout=60)

    assert encoded == [HOTEL, document]
    assert answer.choices[0].text == " ".join([short.choices[0].text] * 300)


def test_several_hypotheses_start_with_the_best(nllb: Engine) -> None:
    """More choices than the beam is wide repeat them; the first is what one choice gives."""
    single = _french(nllb, HOTEL).choices[0]

    several = _french(nllb, HOTEL, DecodingOptions(beam_size=4, num_hypotheses=6)).choices

    assert len(several) == 6
    assert several[0] == single
    assert several[4:] == several[:2]


def test_sampling_draws_other_answers(nllb: Engine) -> None:
    """At a high temperature sixty-four draws are not all the same."""
    options = DecodingOptions(sampling=True, sampling_temperature=2.0, num_hypotheses=64, max_completion_tokens=12)

    answers = {choice.text for choice in _french(nllb, "I need a doctor for my brother in Rome.", options).choices}

    assert len(answers) > 1


def test_sampling_among_the_likeliest_alone_is_greedy(nllb: Engine) -> None:
    """A tiny nucleus leaves one token to draw."""
    options = DecodingOptions(sampling=True, sampling_topp=0.01)

    assert _french(nllb, HOTEL, options).choices[0].text == "Où est l'hôtel ?"


def test_a_batch_gives_what_single_sentences_give(nllb: Engine) -> None:
    """The sentences of one text are decoded together and do not influence each other."""
    sentences = [
        "Where is the hotel?",
        "My name is Anna.",
        "I would like a coffee, please.",
        "It is cold in Rome in May.",
    ]
    random.Random(1).shuffle(sentences)
    singles = [_french(nllb, sentence).choices[0].text for sentence in sentences]

    together = _french(nllb, "\n".join(sentences)).choices[0].text

    assert together.split("\n") == singles


def test_a_language_code_is_never_text(nllb: Engine) -> None:
    """Sampling at the highest temperature draws one now and then."""
    options = DecodingOptions(sampling=True, sampling_temperature=2.0, num_hypotheses=64, max_completion_tokens=20)

    answers = [choice.text for choice in _french(nllb, "I need a doctor for my brother in Rome.", options).choices]

    assert not [answer for answer in answers if "_Latn" in answer or "▁" in answer]


def test_an_error_of_ctranslate2_is_ours(nllb: Engine) -> None:
    """What CTranslate2 refuses does not reach a client as its message."""
    with pytest.raises(EngineError, match=r"^The translation failed\.$"):
        _french(nllb, HOTEL, DecodingOptions(repetition_penalty=-1.0))


def test_log_probabilities_are_those_of_the_search(nllb: Engine) -> None:
    """What the model is asked afterwards is what it said while it decoded."""
    while_decoding: list[float] = []

    def take(step: GenerationStepResult) -> bool:
        assert step.log_prob is not None
        while_decoding.append(step.log_prob)
        return False

    folder = DEMO_MODELS / "nllb-demo"
    tokenizer = load_tokenizer("nllb", folder / "sentencepiece.bpe.model")
    tokens = [tokenizer.encode("Where is it written?", "eng_Latn")]
    translator = Translator(str(folder))
    translator.translate_batch(tokens, [["fra_Latn"]], beam_size=1, return_scores=True, callback=take)
    options = DecodingOptions(logprobs=True)

    answer = nllb.translate("Where is it written?", source_lang="eng_Latn", target_lang="fra_Latn", options=options)

    [scores] = answer.logprobs
    # The language before them is given, and the end of the sentence is no token of the answer.
    assert [score.logprob for score in scores] == pytest.approx(while_decoding[1:-1], abs=1e-4)
    assert len(scores) == answer.choices[0].completion_tokens


@pytest.mark.parametrize("options", [DecodingOptions(logprobs=True), DecodingOptions(beam_size=4, logprobs=True)])
def test_log_probabilities_stay_with_their_tokens(nllb: Engine, options: DecodingOptions) -> None:
    """Those of a document are those of its sentences, whatever was computed together."""
    sentences = ["Where is it written?", "Thank you.", "Nobody taught the model what this says.", "Hello"] * 8
    alone = [_french(nllb, sentence, options).logprobs[0] for sentence in sentences[:4]] * 8

    document = _french(nllb, "\n".join(sentences), options)

    got = [(score.text.strip(), score.logprob) for score in document.logprobs[0]]
    expected = [(score.text.strip(), score.logprob) for scores in alone for score in scores]
    assert [text for text, _ in got] == [text for text, _ in expected]
    assert [value for _, value in got] == pytest.approx([value for _, value in expected], abs=1e-2)
