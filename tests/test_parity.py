"""Served answers are those of ``transformers.generate`` on the same checkpoint, text and token counts alike.

The references are written by ``model_bake.demo.reference``, which needs torch and runs when the models are retrained.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import ROOT, Server

REFERENCES = ROOT / "tests" / "data" / "demo"


@pytest.mark.parametrize(("beam_size", "key"), [(1, "greedy"), (4, "beam4")], ids=["greedy", "beam 4"])
@pytest.mark.parametrize("family", ["nllb", "t5"])
def test_answers_equal_those_of_transformers(server: Server, family: str, beam_size: int, key: str) -> None:
    """200 held-out sentences of each model, over the socket."""
    references: list[dict[str, Any]] = json.loads((REFERENCES / f"{family}_reference.json").read_text(encoding="utf-8"))
    assert len(references) == 200

    def serve(reference: dict[str, Any]) -> tuple[str, int, int]:
        languages = {name: reference[name] for name in ("source_lang", "target_lang")} if family == "nllb" else {}
        answer = server.chat(reference["source"], model=f"{family}-demo", beam_size=beam_size, **languages)
        assert answer.status == 200, answer.body
        completion = answer.json()
        usage = completion["usage"]
        return completion["choices"][0]["message"]["content"], usage["prompt_tokens"], usage["completion_tokens"]

    with ThreadPoolExecutor(4) as pool:
        served = list(pool.map(serve, references))

    expected = [(reference[key], reference["source_tokens"], reference[f"{key}_tokens"]) for reference in references]
    assert served == expected
