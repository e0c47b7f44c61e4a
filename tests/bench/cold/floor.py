"""The floor: CTranslate2 and SentencePiece on Lambda's runtime client, and nothing else.

No framework, no checks, no errors, no logs, no settings but the libraries' own: what a first answer costs when it is
only the engine's.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ctranslate2
import sentencepiece

FOLDER = os.environ["MODEL_PATH"]
NLLB = "TARGET_PREFIX" in os.environ

if "LOAD_IN_THREAD" in os.environ:
    # The row "floor, our threads"; handler.models says why.
    with ThreadPoolExecutor() as pool:
        translator = pool.submit(ctranslate2.Translator, FOLDER).result()
else:
    translator = ctranslate2.Translator(FOLDER)
tokenizer = sentencepiece.SentencePieceProcessor(model_file=f"{FOLDER}/{os.environ['TOKENIZER']}")


def handler(event: Any, _: Any) -> Any:
    """Translate what an event of API Gateway asks for."""
    request = json.loads(event["body"])
    pieces = tokenizer.encode(request["messages"][-1]["content"], out_type=str)
    [result] = translator.translate_batch(
        [[request["source_lang"], *pieces, "</s>"] if NLLB else [*pieces, "</s>"]],
        target_prefix=[[request["target_lang"]]] if NLLB else None,
        beam_size=1,
        # As many steps as the function makes: one more than asked for shows whether the answer would end there.
        max_decoding_length=request["max_completion_tokens"] + 1 + NLLB,
    )
    text = tokenizer.decode_pieces(result.hypotheses[0][NLLB:])
    return {"statusCode": 200, "body": json.dumps({"choices": [{"message": {"content": text}}]})}
