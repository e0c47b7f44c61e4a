"""What the two demo models are: names, directions, limits and the text each of them is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from model_bake.demo.lexicon import LANGUAGES, Language

FamilyName = Literal["nllb", "t5"]
Direction = tuple[Language, Language]

CHECKPOINTS_DIR: Final = Path(__file__).parent / "checkpoints"
MODELS_DIR: Final = Path(__file__).parent / "models"

LANGUAGE_NAMES: Final[dict[Language, str]] = {
    "eng_Latn": "English",
    "fra_Latn": "French",
    "deu_Latn": "German",
    "spa_Latn": "Spanish",
}

_ALL_DIRECTIONS: Final[tuple[Direction, ...]] = tuple(
    (source, target) for source in LANGUAGES for target in LANGUAGES if source != target
)


@dataclass(frozen=True, slots=True)
class Family:
    """One demo model."""

    name: FamilyName
    model_id: str
    description: str
    directions: tuple[Direction, ...]
    tokenizer_file: str
    max_tokens: int
    """Of the source and of the target, special tokens counted."""

    @property
    def checkpoint_dir(self) -> Path:
        """Return the folder of the trained Hugging Face checkpoint."""
        return CHECKPOINTS_DIR / self.model_id

    @property
    def model_dir(self) -> Path:
        """Return the folder of its CTranslate2 conversion."""
        return MODELS_DIR / self.model_id

    def prompt(self, source: str, source_lang: Language, target_lang: Language) -> str:
        """Return the text the tokenizer gets: T5 is told the direction in words."""
        if self.name == "nllb":
            return source
        return f"translate {LANGUAGE_NAMES[source_lang]} to {LANGUAGE_NAMES[target_lang]}: {source}"


NLLB: Final = Family(
    name="nllb",
    model_id="nllb-demo",
    description="Travel phrasebook in English, French, German and Spanish, all twelve directions (NLLB layout).",
    directions=_ALL_DIRECTIONS,
    tokenizer_file="sentencepiece.bpe.model",
    max_tokens=256,
)
T5: Final = Family(
    name="t5",
    model_id="t5-demo",
    description="Travel phrasebook, English from and to French, German and Spanish (T5 layout).",
    directions=tuple(direction for direction in _ALL_DIRECTIONS if "eng_Latn" in direction),
    tokenizer_file="spiece.model",
    max_tokens=512,
)
FAMILIES: Final[dict[FamilyName, Family]] = {"nllb": NLLB, "t5": T5}
