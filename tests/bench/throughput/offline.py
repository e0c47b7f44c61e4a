"""The most that can be had of the engine: all sentences at hand, sorted by length, in large batches.

Answers each line of standard input, a number of sentences, with the seconds it took to translate so many.
"""

import handler.openmp  # noqa: F401 - before ctranslate2

# isort: split
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import ctranslate2
from shapes import TOKENIZER

from handler.cpus import usable_cpus
from handler.tokenizer import load_tokenizer

BATCH = 32


def main() -> None:
    """Load the model that the command line names, then translate."""
    folder, tokens, *texts = json.loads(sys.argv[1])
    # As the server loads it: in a thread that ends.
    with ThreadPoolExecutor() as pool:
        translator = pool.submit(ctranslate2.Translator, folder, intra_threads=usable_cpus()).result()
    tokenizer = load_tokenizer("nllb", Path(folder) / TOKENIZER)
    sentences = [tokenizer.encode(text, "eng_Latn") for text in texts]
    for line in sys.stdin:
        batch = list(islice(cycle(sentences), int(line)))
        start = time.perf_counter()
        translator.translate_batch(
            batch,
            target_prefix=[["fra_Latn"]] * len(batch),
            beam_size=1,
            max_batch_size=BATCH,  # sorts by length, too
            max_input_length=0,
            max_decoding_length=1 + tokens,  # the language
        )
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
