"""Train a demo model from scratch: ``python -m model_bake.demo.train {nllb|t5} --output DIR``.

Seeds, steps and the single thread are fixed, so the same machine makes the same bits. Fifteen to twenty CPU minutes.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from model_bake.demo.families import FAMILIES, Family
from model_bake.demo.layout import build_model, write_tokenizer
from model_bake.demo.phrasebook import build_phrasebook
from model_bake.demo.sampler import Pair, Sampler

SEED: Final = 1
STEPS: Final = {"nllb": 7500, "t5": 7500}
BATCH_SIZE: Final = 64
POOL_BATCHES: Final = 40
"""Batches drawn together and sorted by length, so that little is padding."""
PEAK_LEARNING_RATE: Final = {"nllb": 2e-3, "t5": 3e-3}
WARM_UP_STEPS: Final = 200
FINAL_RATE: Final = 0.02
"""What is left of the peak at the end of the cosine."""
RELATIVE_UPDATE: Final = 0.03
"""Largest step of a matrix, relative to the RMS of its initial values; see :func:`_optimizer`."""
REPORT_EVERY: Final = 200

Example = tuple[list[int], list[int]]


class _Encoder:
    """Turns pairs into the ids of source and target, special tokens included."""

    def __init__(self, family: Family, tokenizer: PreTrainedTokenizerBase) -> None:
        self._family = family
        self._tokenizer = tokenizer
        self._ids: dict[str, list[int]] = {}  # the Python tokenizer is slow, and sentences come again

    def encode(self, pair: Pair) -> Example:
        """Return the example exactly as the checkpoint's tokenizer makes it."""
        source = self._encode_text(self._family.prompt(pair.source, pair.source_lang, pair.target_lang))
        target = self._encode_text(pair.target)
        if self._family.name == "nllb":
            source_code, target_code = self._tokenizer.convert_tokens_to_ids([pair.source_lang, pair.target_lang])
            source, target = [source_code, *source], [target_code, *target]
        eos = self._tokenizer.eos_token_id
        return [*source, eos], [*target, eos]

    def _encode_text(self, text: str) -> list[int]:
        if text not in self._ids:
            self._ids[text] = self._tokenizer(text, add_special_tokens=False).input_ids
        return self._ids[text]


def _batches(
    sampler: Sampler, family: Family, tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    rng = random.Random(SEED)
    encoder = _Encoder(family, tokenizer)
    pad = tokenizer.pad_token_id
    while True:
        pool = [encoder.encode(sampler.draw()) for _ in range(BATCH_SIZE * POOL_BATCHES)]
        pool.sort(key=lambda example: (len(example[0]), len(example[1])))
        batches = [pool[start : start + BATCH_SIZE] for start in range(0, len(pool), BATCH_SIZE)]
        rng.shuffle(batches)
        for batch in batches:
            sources, targets = zip(*batch, strict=True)
            yield _padded(sources, pad), _padded(targets, pad)


def _padded(rows: tuple[list[int], ...], pad: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [pad] * (width - len(row)) for row in rows])


def _optimizer(model: PreTrainedModel, peak: float) -> torch.optim.AdamW:
    """Return AdamW with a learning rate for each tensor, in proportion to its initial size.

    T5 initialises its tensors orders of magnitude apart and learns nothing with one rate for all.
    """
    groups = []
    for parameter in model.parameters():
        rms = parameter.detach().float().pow(2).mean().sqrt().item()
        scale = min(RELATIVE_UPDATE * rms, RELATIVE_UPDATE) / 3e-3 if parameter.ndim > 1 else 1.0
        groups.append({"params": [parameter], "lr": peak * scale, "peak": peak * scale})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0, fused=True)


def _schedule(step: int, steps: int) -> float:
    """Return the share of the peak rate: a short warm-up, then a cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / WARM_UP_STEPS) * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


def train(family: Family, output: Path, *, steps: int) -> None:
    """Train the family's model and write its float16 checkpoint."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(SEED)
    book = build_phrasebook()
    tokenizer = write_tokenizer(book, family, output)
    model = build_model(family, tokenizer)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{family.model_id}: {len(tokenizer)} tokens, {parameters} parameters, {steps} steps", flush=True)

    optimizer = _optimizer(model, PEAK_LEARNING_RATE[family.name])
    batches = _batches(Sampler(book, family, seed=SEED), family, tokenizer)
    start_token: Any = model.config.decoder_start_token_id
    pad = tokenizer.pad_token_id
    model.train()
    started, loss_sum = time.monotonic(), 0.0
    for step in range(steps):
        sources, targets = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * _schedule(step, steps)
        shifted = torch.cat([torch.full((len(targets), 1), start_token), targets[:, :-1]], dim=1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=sources, attention_mask=(sources != pad).long(), decoder_input_ids=shifted).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=pad)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss_sum += loss.item()
        if (step + 1) % REPORT_EVERY == 0:
            minutes = (time.monotonic() - started) / 60
            print(f"step {step + 1}/{steps}  {minutes:.1f} min  loss {loss_sum / REPORT_EVERY:.5f}", flush=True)
            loss_sum = 0.0

    # float16 halves the committed file; what is converted and measured is the rounded model.
    model.eval().to(torch.float16).save_pretrained(output)
    (output / "model.safetensors").chmod(0o644)  # safetensors leaves it to its owner alone
    print(f"wrote {output}", flush=True)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Train a demo model from scratch.")
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("--output", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, help="training steps; the default is what the committed model had")
    args = parser.parse_args()
    train(FAMILIES[args.family], args.output, steps=args.steps or STEPS[args.family])


if __name__ == "__main__":
    main()
