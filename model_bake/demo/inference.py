"""The converted demo models as a server would run them: CTranslate2 and SentencePiece, nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import ctranslate2
import sentencepiece

from model_bake.demo.families import Family
from model_bake.demo.lexicon import Language

EOS: Final = "</s>"
BATCH_SIZE: Final = 64


class Request(NamedTuple):
    """One sentence to translate."""

    source_lang: Language
    target_lang: Language
    text: str


class DemoModel:
    """A demo model, its translations and their tokens."""

    def __init__(self, family: Family, folder: Path | None = None) -> None:
        """Load the committed model, or the conversion in ``folder``."""
        folder = folder or family.model_dir
        self._family = family
        self._translator = ctranslate2.Translator(str(folder), device="cpu", compute_type="int8", intra_threads=1)
        self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / family.tokenizer_file))

    def translate(self, requests: Sequence[Request], *, beam_size: int) -> list[str]:
        """Return the translations, in order."""
        return [self._tokenizer.decode(tokens) for tokens in self.translate_tokens(requests, beam_size=beam_size)]

    def translate_tokens(self, requests: Sequence[Request], *, beam_size: int) -> list[list[str]]:
        """Return the translations as tokens, without language code and ``</s>``."""
        nllb = self._family.name == "nllb"
        results = self._translator.translate_batch(
            [self._source_tokens(request) for request in requests],
            target_prefix=[[request.target_lang] for request in requests] if nllb else None,
            beam_size=beam_size,
            patience=2 if beam_size > 1 else 1,  # CTranslate2 stops earlier than transformers, and drops words
            max_input_length=0,  # nothing is cut off
            max_decoding_length=self._family.max_tokens,
            max_batch_size=BATCH_SIZE,
        )
        return [result.hypotheses[0][1:] if nllb else result.hypotheses[0] for result in results]

    def _source_tokens(self, request: Request) -> list[str]:
        prompt = self._family.prompt(request.text, request.source_lang, request.target_lang)
        tokens = [*self._tokenizer.encode(prompt, out_type=str), EOS]
        return [request.source_lang, *tokens] if self._family.name == "nllb" else tokens
