"""A whole answer from all its parts at once: what one that is put together token by token is compared with."""

from collections.abc import Sequence
from typing import Any

from handler.assembly import Assembler, Choice, Decoded


def assemble(parts: Sequence[str | Decoded], **options: Any) -> Choice:
    """Return the answer of decoded sentences, and of gaps as they stand between them; ``options`` are Assembler's."""
    assembler = Assembler(**options)
    for part in parts:
        if isinstance(part, str):
            assembler.add_gap(part)
        else:
            assembler.end_sentence(part.tokens, ended=part.ended)
    assembler.close()
    return assembler.choice()
