"""Write what transformers itself generates, and hold the int8 models to it: ``python -m model_bake.demo.reference``.

The files under ``tests/data/demo`` let tests without torch compare a server's output with transformers'.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModelForSeq2SeqLM, GenerationMixin, PreTrainedTokenizerBase

from model_bake.demo.families import FAMILIES, Family
from model_bake.demo.inference import DemoModel, Request
from model_bake.demo.layout import load_tokenizer
from model_bake.demo.phrasebook import build_phrasebook

SENTENCES: Final = 200
SEED: Final = 11
MAX_NEW_TOKENS: Final = 96
BEAM_SIZES: Final = {"greedy": 1, "beam4": 4}
REFERENCE_DIR: Final = Path(__file__).parents[2] / "tests" / "data" / "demo"


def draw_requests(family: Family) -> list[tuple[Request, str]]:
    """Return held-out sentences with their translations, the family's directions in turn."""
    rng = random.Random(SEED)
    entries = [entry for template in build_phrasebook().held_out for entry in template.full]
    drawn = []
    for number, entry in enumerate(rng.sample(entries, SENTENCES)):
        source_lang, target_lang = family.directions[number % len(family.directions)]
        drawn.append((Request(source_lang, target_lang, entry.texts[source_lang]), entry.texts[target_lang]))
    return drawn


def _generate(
    model: GenerationMixin, tokenizer: PreTrainedTokenizerBase, source: list[int], target_lang: str, num_beams: int
) -> list[int]:
    """Return the generated ids without the decoder's start, language code and ``</s>``."""
    forced = {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(target_lang)} if target_lang else {}
    with torch.inference_mode():
        output = model.generate(
            torch.tensor([source]),
            num_beams=num_beams,
            do_sample=False,
            length_penalty=1.0,
            early_stopping=False,
            max_new_tokens=MAX_NEW_TOKENS,
            **forced,
        )
    ids: list[int] = output[0].tolist()[2 if target_lang else 1 :]
    return ids[: ids.index(tokenizer.eos_token_id)]  # raises when the limit cut the sentence off


def build_reference(family: Family) -> list[dict[str, Any]]:
    """Return the reference records of one model."""
    tokenizer = load_tokenizer(family.checkpoint_dir)
    model = AutoModelForSeq2SeqLM.from_pretrained(family.checkpoint_dir, dtype=torch.float32).eval()
    records = []
    for request, expected in draw_requests(family):
        if family.name == "nllb":
            tokenizer.src_lang = request.source_lang
        prompt = family.prompt(request.text, request.source_lang, request.target_lang)
        source = tokenizer(prompt).input_ids
        code = request.target_lang if family.name == "nllb" else ""
        generated = {
            name: _generate(model, tokenizer, source, code, num_beams) for name, num_beams in BEAM_SIZES.items()
        }
        records.append(
            {
                "source_lang": request.source_lang,
                "target_lang": request.target_lang,
                "source": prompt,
                "expected": expected,
                # Tidying spaces before punctuation is for English; it would spoil French.
                **{
                    name: tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                    for name, ids in generated.items()
                },
                **{f"{name}_tokens": len(ids) for name, ids in generated.items()},
                "source_tokens": len(source),
            }
        )
    return records


def check_parity(family: Family, records: list[dict[str, Any]]) -> bool:
    """Print how often the int8 model equals transformers; return whether it always does."""
    model = DemoModel(family)
    requests = [request for request, _ in draw_requests(family)]
    equal = True
    for name, beam_size in BEAM_SIZES.items():
        translations = model.translate(requests, beam_size=beam_size)
        pairs = list(zip(translations, records, strict=True))
        differing = [(translation, record) for translation, record in pairs if translation != record[name]]
        right = sum(record[name] == record["expected"] for record in records)
        print(f"{family.model_id} {name}: int8 equals transformers {SENTENCES - len(differing)}/{SENTENCES}")
        print(f"{family.model_id} {name}: transformers right {right}/{SENTENCES}")
        for translation, record in differing:
            print(f"    {record['source']!r}: {translation!r}, transformers {record[name]!r}")
        equal = equal and not differing
    return equal


def main() -> int:
    """Write both reference files and compare."""
    torch.set_num_threads(1)
    REFERENCE_DIR.mkdir(parents=True, exist_ok=True)
    equal = True
    for family in FAMILIES.values():
        records = build_reference(family)
        text = json.dumps(records, ensure_ascii=False, indent=1)
        (REFERENCE_DIR / f"{family.name}_reference.json").write_text(f"{text}\n", encoding="utf-8")
        equal = check_parity(family, records) and equal
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
