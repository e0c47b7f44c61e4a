from collections.abc import Sequence
from typing import Any

class TransformersConverter:
    def __init__(
        self,
        model_name_or_path: str,
        activation_scales: str | None = None,
        copy_files: Sequence[str] | None = None,
        load_as_float16: bool = False,
        revision: str | None = None,
        low_cpu_mem_usage: bool = False,
        trust_remote_code: bool = False,
    ) -> None: ...
    def convert(
        self, output_dir: str, vmap: str | None = None, quantization: str | None = None, force: bool = False
    ) -> str: ...
    def load_model(self, model_class: Any, model_name_or_path: str, **kwargs: Any) -> Any: ...
    def load_tokenizer(self, tokenizer_class: Any, model_name_or_path: str, **kwargs: Any) -> Any: ...
    def _load(self) -> Any: ...
