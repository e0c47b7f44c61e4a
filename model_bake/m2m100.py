"""M2M100's language tokens (``__en__``), which a bake gives the form of NLLB's: the server knows one form only."""

import json
from pathlib import Path

from handler.languages import lookup_language

OWN_CODES = {"br": "bre_Latn", "fy": "fry_Latn", "ns": "nso_Latn"}
"""Breton and Western Frisian, which FLORES-200 lacks, and Northern Sotho, which M2M100 calls by no ISO 639 code."""


def flores_code(token: str) -> str | None:
    """Return the code for a language token of M2M100, nothing for any other token."""
    if not (token.startswith("__") and token.endswith("__") and token[2:-2].isalpha()):
        return None
    code = token[2:-2]
    return OWN_CODES.get(code) or lookup_language(code)


def rename_languages(path: Path) -> None:
    """Give the language tokens in a converted model's list of tokens the form of NLLB's."""
    tokens = json.loads(path.read_bytes())
    renamed = [flores_code(token) or token for token in tokens]
    if renamed != tokens:
        # As ctranslate2/specs/model_spec.py writes it.
        path.write_text(json.dumps(renamed, indent=2), encoding="utf-8")
