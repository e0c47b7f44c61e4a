"""Loads a SentencePiece model: the very call that a cold start begins ahead and a tokenizer asks for."""

from sentencepiece import SentencePieceProcessor


def open_processor(path: str) -> SentencePieceProcessor:
    """Load the SentencePiece model at ``path``.

    Raises:
        OSError: The file cannot be read.
        RuntimeError: The file is not a SentencePiece model.
    """
    return SentencePieceProcessor(model_file=path)
