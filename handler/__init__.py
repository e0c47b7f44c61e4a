"""The server: an OpenAI-compatible API for NLLB and T5 models on CTranslate2."""

__version__ = "0.1.0"
