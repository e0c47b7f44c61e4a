"""Text that nobody expects: control tokens typed by a user, and the corners of Unicode."""

from collections.abc import Sequence
from random import Random

from hypothesis import strategies as st

CONTROL_TOKENS = ("<s>", "</s>", "<pad>", "<unk>", "<mask>")
"""Of NLLB and T5 both."""
LANGUAGE_CODES = ("eng_Latn", "fra_Latn", "deu_Latn", "spa_Latn", "zho_Hans", "__en__", "<2de>", "madeupword0")
SENTINELS = ("<extra_id_0>", "<extra_id_1>", "<extra_id_99>")
NO_SENTINELS = ("<extra_id_100>", "<extra_id_>", "<extra_id_007>", "< extra_id_0>", "<EXTRA_ID_0>", "<extra_id_\u0661>")
ODD_CHARACTERS = (
    *" \t\n\r\x00\x01\x0b\x0c\x1b\x1c\x1f\x7f\x85\xa0\xad",
    # White space and joiners, marks of direction, the word boundary of SentencePiece, the byte order mark.
    *"\u1680\u2009\u200b\u200c\u200d\u200e\u202e\u2028\u2029\u202f\u2060\u2066\u2581\u3000\ufeff\ufffc\ufffd\uffff",
    # Composed and not, ligatures, width, digits and letters that NFKC maps to others.
    *(
        "\u0301",
        "e\u0301",
        "\xe9",
        "\ufb01",
        "\uff21",
        "\u2460",
        "\xbd",
        "\xb5",
        "\u2126",
        "\u1e9e",
        "\u0130",
        "\ufdfa",
    ),
    # Beyond the first plane: letters, emoji with modifiers, a flag, tags, private use, the last of all.
    *("\U00020000", "\U0001d49c", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469", "\U0001f1eb\U0001f1f7"),
    *("\U000e0041", "\ue000", "\U0010ffff"),
    *("\u0915\u094d\u0937", "\u1100\u1161", "\u0644\u0627", "\u4f60\u597d", "\u0e01\u0e33", "\u17d4", "\u0f0b"),
)
WORDS = ("Where", "is", "the", "hotel", "?", "H\xf4tel", "Stra\xdfe", "e.g.", "1.", "12", "-", "|", "#", "'", "\u2019")
MARKS = ("<", ">", "</", "/>", "<<", ">>", "_", "<extra", "id>", "Latn", "&lt;/s&gt;")


def odd_texts(count: int, *, typed: Sequence[str], seed: int = 5) -> list[str]:
    """Return ``count`` texts, each with one of ``typed`` at least, the same for the same arguments."""
    draw = Random(seed)
    texts = []
    for _ in range(count):
        parts = [draw.choice(draw.choice((typed, ODD_CHARACTERS, WORDS, MARKS))) for _ in range(draw.randint(0, 12))]
        parts.insert(draw.randint(0, len(parts)), draw.choice(typed))
        texts.append("".join(part + draw.choice(("", "", " ")) for part in parts))
    return texts


SNIPPETS = (*CONTROL_TOKENS, *LANGUAGE_CODES, *SENTINELS, *NO_SENTINELS, *ODD_CHARACTERS, *WORDS, *MARKS)
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(SNIPPETS), max_size=40).map("".join))
"""What JSON in UTF-8 can hold, so no lone surrogates."""
