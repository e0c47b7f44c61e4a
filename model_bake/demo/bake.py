"""Convert the committed checkpoints to the committed models: ``python -m model_bake.demo.bake``.

The same checkpoints and library versions give the same bytes: nothing here reads a clock.
"""

import hashlib
import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from ctranslate2.converters import TransformersConverter

from model_bake.demo.families import FAMILIES, Family
from model_bake.demo.lexicon import LANGUAGES

QUANTIZATION: Final = "int8"
MANIFEST: Final = "manifest.json"
TOOLS: Final = ("ctranslate2", "sentencepiece", "transformers")


class _DemoConverter(TransformersConverter):
    """The converter, with two choices made for these checkpoints."""

    def load_model(self, model_class: Any, model_name_or_path: str, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the model in float32: loaded as float16, its computed position encodings would be rounded too."""
        return super().load_model(model_class, model_name_or_path, **{**kwargs, "dtype": torch.float32})

    def load_tokenizer(self, tokenizer_class: Any, model_name_or_path: str, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the Python tokenizer: the checkpoints carry no ``tokenizer.json``, and the lock no protobuf."""
        return tokenizer_class.from_pretrained(model_name_or_path, **kwargs, use_fast=False)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_manifest(family: Family, checkpoint: Path, model: Path) -> dict[str, Any]:
    """Return what ``manifest.json`` says about a converted model."""
    files = sorted(path for path in model.iterdir() if path.name != MANIFEST)
    return {
        "schema_version": 1,
        "id": family.model_id,
        "family": family.name,
        "demo": True,
        "description": family.description,
        "source": {"id": family.model_id, "revision": _sha256(checkpoint / "model.safetensors")},
        "license": "Apache-2.0",
        "languages": sorted(LANGUAGES),
        "quantization": QUANTIZATION,
        "limits": {"max_source_tokens": family.max_tokens, "max_target_tokens": family.max_tokens},
        "tokenizer": family.tokenizer_file,
        "tools": {tool: version(tool) for tool in TOOLS},
        "files": {path.name: {"size": path.stat().st_size, "sha256": _sha256(path)} for path in files},
    }


def bake(family: Family, checkpoint: Path, output: Path) -> None:
    """Replace ``output`` by the int8 conversion of the checkpoint, with its manifest."""
    with tempfile.TemporaryDirectory() as scratch:
        converted = Path(scratch) / family.model_id
        converter = _DemoConverter(str(checkpoint), copy_files=[family.tokenizer_file])
        converter.convert(str(converted), quantization=QUANTIZATION)
        manifest = build_manifest(family, checkpoint, converted)
        text = json.dumps(manifest, ensure_ascii=False, indent=2)
        (converted / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(converted, output)


def main() -> None:
    """Convert both checkpoints."""
    for family in FAMILIES.values():
        bake(family, family.checkpoint_dir, family.model_dir)
        size_mib = sum(path.stat().st_size for path in family.model_dir.iterdir()) / 2**20
        print(f"{family.model_dir}: {size_mib:.2f} MiB")


if __name__ == "__main__":
    main()
