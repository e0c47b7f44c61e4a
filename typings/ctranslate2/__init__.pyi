# The part of CTranslate2 4.8 that this project uses; the wheel ships no types.

from collections.abc import Callable, Sequence

__version__: str

class TranslationResult:
    hypotheses: list[list[str]]
    scores: list[float]
    attention: list[list[list[float]]]

class ScoringResult:
    tokens: list[str]
    log_probs: list[float]

class GenerationStepResult:
    batch_id: int
    hypothesis_id: int
    is_last: bool
    log_prob: float | None
    step: int
    token: str
    token_id: int

class Translator:
    def __init__(
        self,
        model_path: str,
        device: str = "cpu",
        *,
        device_index: int | list[int] = 0,
        compute_type: str | dict[str, str] = "default",
        inter_threads: int = 1,
        intra_threads: int = 0,
        max_queued_batches: int = 0,
        flash_attention: bool = False,
        tensor_parallel: bool = False,
        files: object = None,
    ) -> None: ...
    @property
    def device(self) -> str: ...
    @property
    def compute_type(self) -> str: ...
    @property
    def num_translators(self) -> int: ...
    @property
    def model_is_loaded(self) -> bool: ...
    def unload_model(self, *, to_cpu: bool = False) -> None: ...
    def translate_batch(
        self,
        source: Sequence[Sequence[str]],
        target_prefix: Sequence[Sequence[str] | None] | None = None,
        *,
        max_batch_size: int = 0,
        batch_type: str = "examples",
        beam_size: int = 2,
        patience: float = 1,
        num_hypotheses: int = 1,
        length_penalty: float = 1,
        coverage_penalty: float = 0,
        repetition_penalty: float = 1,
        no_repeat_ngram_size: int = 0,
        disable_unk: bool = False,
        suppress_sequences: Sequence[Sequence[str]] | None = None,
        end_token: str | list[str] | list[int] | None = None,
        return_end_token: bool = False,
        max_input_length: int = 1024,
        max_decoding_length: int = 256,
        min_decoding_length: int = 1,
        use_vmap: bool = False,
        return_scores: bool = False,
        sampling_topk: int = 1,
        sampling_topp: float = 1,
        sampling_temperature: float = 1,
        callback: Callable[[GenerationStepResult], bool] | None = None,
    ) -> list[TranslationResult]: ...
    def score_batch(
        self,
        source: Sequence[Sequence[str]],
        target: Sequence[Sequence[str]],
        *,
        max_batch_size: int = 0,
        batch_type: str = "examples",
        max_input_length: int = 1024,
        offset: int = 0,
    ) -> list[ScoringResult]: ...

def get_cuda_device_count() -> int: ...
def get_supported_compute_types(device: str, device_index: int = 0) -> set[str]: ...
