"""What the clients ask for, and what they have to get."""

import itertools

KEY = "sk-test-of-the-clients"
CLIENT_TIMEOUT_S = 60.0
HOTEL = "Where is the hotel?"
UMBRELLA = "I have lost my umbrella in Venice."
TRANSLATIONS = {
    "fra_Latn": {HOTEL: "Où est l'hôtel ?", UMBRELLA: "J'ai perdu mon parapluie à Venise."},
    "deu_Latn": {HOTEL: "Wo ist das Hotel?", UMBRELLA: "Ich habe meinen Regenschirm in Venedig verloren."},
    "spa_Latn": {HOTEL: "¿Dónde está el hotel?", UMBRELLA: "He perdido mi paraguas en Venecia."},
}
FRENCH = {"target_lang": "fra_Latn"}

QUESTIONS = list(
    itertools.product(
        ("\n".join(lines) for count in (1, 2, 3) for lines in itertools.product((HOTEL, UMBRELLA), repeat=count)),
        TRANSLATIONS,
    )
)[:20]
"""Texts and target languages, each pair once; the first is ``HOTEL`` into French."""

LONG = "\n".join([HOTEL] * 6000)
LONG_TOKENS = "100000"
"""``MAX_PROMPT_TOKENS`` of a server that translates ``LONG``, which takes it seconds."""


def translation(text: str, target: str) -> str:
    """Return what the demo model says."""
    return "\n".join(TRANSLATIONS[target][line] for line in text.split("\n"))
