"""Language names and codes: what resolves, what is refused, and what an error suggests."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.errors import UnsupportedLanguageError
from handler.language_data import COUNTRIES, EXTENDED, NAMES, REGIONS, RELATED, SUBTAGS, UNDECIDED
from handler.languages import FLORES_200, language_candidates, lookup_language, parse_language

NLLB_LANGUAGES = 202

CODES = {
    "fra_Latn": "fra_Latn",
    "FRA_LATN": "fra_Latn",
    "fra-latn": "fra_Latn",
    " fra_Latn\r\n": "fra_Latn",
    "fr": "fra_Latn",
    "fra": "fra_Latn",
    "fre": "fra_Latn",
    "fr-CA": "fra_Latn",
    "fr_FR": "fra_Latn",
    "fr-XX": "fra_Latn",
    "fr-Latn-CA": "fra_Latn",
    "fr-u-co-phonebk": "fra_Latn",
    "es-419": "spa_Latn",
    "de-1996": "deu_Latn",
    "ca-valencia": "cat_Latn",
    "en-US-x-private": "eng_Latn",
    "ger": "deu_Latn",
    "dut": "nld_Latn",
    "gre": "ell_Grek",
    "el": "ell_Grek",
    "pt": "por_Latn",
    "pt-BR": "por_Latn",
    "zh": "zho_Hans",
    "chi": "zho_Hans",
    "cmn": "zho_Hans",
    "zh-CN": "zho_Hans",
    "zh-SG": "zho_Hans",
    "zh-Hans": "zho_Hans",
    "zh-Hans-CN": "zho_Hans",
    "zh-Hans-TW": "zho_Hans",
    "zh-TW": "zho_Hant",
    "zh-HK": "zho_Hant",
    "zh-MO": "zho_Hant",
    "zh-Hant": "zho_Hant",
    "zh_hant_cn": "zho_Hant",
    "zh-cmn-Hant": "zho_Hant",
    "yue": "yue_Hant",
    "yue-HK": "yue_Hant",
    "zh-yue": "yue_Hant",
    "sr": "srp_Cyrl",
    "sr-Cyrl-RS": "srp_Cyrl",
    "nb": "nob_Latn",
    "no": "nob_Latn",
    "nn": "nno_Latn",
    "iw": "heb_Hebr",
    "he": "heb_Hebr",
    "in": "ind_Latn",
    "id": "ind_Latn",
    "ji": "ydd_Hebr",
    "yi": "ydd_Hebr",
    "jw": "jav_Latn",
    "jv": "jav_Latn",
    "mo": "ron_Latn",
    "tl": "tgl_Latn",
    "fil": "tgl_Latn",
    "ms": "zsm_Latn",
    "fa": "pes_Arab",
    "fa-AF": "prs_Arab",
    "prs": "prs_Arab",
    "ar": "arb_Arab",
    "ar-EG": "arb_Arab",
    "ar-arz": "arz_Arab",
    "arz": "arz_Arab",
    "ku": "kmr_Latn",
    "ku-Arab": "ckb_Arab",
    "ku-IQ": "ckb_Arab",
    "ckb": "ckb_Arab",
    "az": "azj_Latn",
    "az-Arab": "azb_Arab",
    "az-IR": "azb_Arab",
    "ks": "kas_Arab",
    "ks-Deva": "kas_Deva",
    "kr": "knc_Latn",
    "ace": "ace_Latn",
    "ace-Arab": "ace_Arab",
    "ff": "fuv_Latn",
    "ak": "aka_Latn",
    "tw": "twi_Latn",
    "ber": "tzm_Tfng",
    "zgh": "tzm_Tfng",
    "sat-Olck": "sat_Beng",
    "lv": "lvs_Latn",
    "sq": "als_Latn",
    "et": "est_Latn",
    "or": "ory_Orya",
    "ko-Kore": "kor_Hang",
}

ENGLISH_NAMES = {
    "French": "fra_Latn",
    "the French language": "fra_Latn",
    "FRENCH": "fra_Latn",
    "Chinese": "zho_Hans",
    "Mandarin": "zho_Hans",
    "Simplified Chinese": "zho_Hans",
    "traditional chinese": "zho_Hant",
    "Chinese (Traditional)": "zho_Hant",
    "Chinese (Taiwan)": "zho_Hant",
    "Chinese (zh-TW)": "zho_Hant",
    "Chinese (Simplified) (zh-Hans)": "zho_Hans",
    "Cantonese": "yue_Hant",
    "Brazilian Portuguese": "por_Latn",
    "European Portuguese": "por_Latn",
    "Portuguese (pt-BR)": "por_Latn",
    "Spanish (Latin America)": "spa_Latn",
    "French (Belgium)": "fra_Latn",
    "Farsi": "pes_Arab",
    "Persian": "pes_Arab",
    "Persian (Afghanistan)": "prs_Arab",
    "Filipino": "tgl_Latn",
    "Tagalog": "tgl_Latn",
    "Castilian": "spa_Latn",
    "Flemish": "nld_Latn",
    "Greek": "ell_Grek",
    "Norwegian": "nob_Latn",
    "Norwegian Bokmål": "nob_Latn",
    "Norwegian Bokma\u030al": "nob_Latn",
    "norwegian bokmal": "nob_Latn",
    "Norwegian, Bokmål": "nob_Latn",
    "Burmese": "mya_Mymr",
    "Myanmar": "mya_Mymr",
    "Punjabi": "pan_Guru",
    "Haitian Creole": "hat_Latn",
    "haitian_creole": "hat_Latn",
    "Scottish Gaelic": "gla_Latn",
    "Kabiye": "kbp_Latn",
    "Ta\u2019izzi-Adeni Arabic": "acq_Arab",
    "Arabic": "arb_Arab",
    "Hebrew": "heb_Hebr",
    "Kurdish (Sorani)": "ckb_Arab",
    "Kashmiri (Devanagari)": "kas_Deva",
    "Cyrillic Serbian": "srp_Cyrl",
    "法语": "fra_Latn",
}

REFUSED = [
    "",
    " ",
    "-",
    "fr-",
    "-fr",
    "fr--CA",
    "fr CA",
    "fr/CA",
    "fr-CA-",
    "fr-deu",
    "fr-x",
    "fr-Latn-Latn",
    "abcdefghi-fr",
    "French!",
    "French (de)",
    "French (",
    "Klingon",
    "auto",
    "xx",
    "la",
    "sr-Latn",
    "sr_Latin",
    "Serbian (Latin)",
    "zh-Latn",
    "ja-Latn",
    "uz-Cyrl",
    "uz-AF",
    "pa-PK",
    "Punjabi (Shahmukhi)",
    "Uzbek (Afghanistan)",
    "sh",
    "Serbo-Croatian",
    "gsw",
    "zh-nan",
    "x" * 1_000_000,
    "fr-" * 300_000,
    "\ud800",
    "\0",
]


@pytest.mark.parametrize(("text", "code"), CODES.items(), ids=[repr(text) for text in CODES])
def test_codes_of_every_standard_resolve(text: str, code: str) -> None:
    """FLORES-200, ISO 639 and BCP-47 mean the same languages in any case."""
    assert parse_language(text) == code
    assert parse_language(text.swapcase()) == code
    assert lookup_language(text) == code


@pytest.mark.parametrize(("text", "code"), ENGLISH_NAMES.items(), ids=list(ENGLISH_NAMES))
def test_english_names_resolve(text: str, code: str) -> None:
    """Names are read in any case and word order, with or without accents."""
    assert parse_language(text) == code
    assert parse_language(text.upper()) == code


@pytest.mark.parametrize("text", REFUSED, ids=[ascii(text[:20]) for text in REFUSED])
def test_what_names_no_language_of_nllb_is_refused(text: str) -> None:
    """Unknown, malformed and undecided languages, and scripts no code has, name up to five others."""
    assert lookup_language(text) is None

    with pytest.raises(UnsupportedLanguageError) as caught:
        parse_language(text, param="target_lang")

    assert caught.value.param == "target_lang"
    assert 1 <= len(caught.value.nearest) <= 5
    assert set(caught.value.nearest) <= FLORES_200.keys()
    assert len(set(caught.value.nearest)) == len(caught.value.nearest)
    assert len(caught.value.message) < 300


def test_the_table_has_the_codes_of_nllb_and_resolves_each_of_them_and_its_name() -> None:
    """A code and its English name are two ways to write one language."""
    assert len(FLORES_200) == NLLB_LANGUAGES
    for code, name in FLORES_200.items():
        assert parse_language(code.lower()) == code
        assert parse_language(name) == code


def test_every_alias_leads_to_a_code() -> None:
    """No table names a code that NLLB does not have."""
    mentioned = [*SUBTAGS.values(), *UNDECIDED.values(), *RELATED]
    mentioned += [code for forms in REGIONS.values() for code in forms.values()]

    assert {code for codes in mentioned for code in codes.split()} <= FLORES_200.keys()
    assert REGIONS.keys() <= FLORES_200.keys()
    assert all(lookup_language(text) for text in [*SUBTAGS, *NAMES])
    assert all(lookup_language(f"{prefix}-{sub}") for prefix, subs in EXTENDED.items() for sub in subs.split())
    assert all(" ".join(sorted(name.split())) == name for name in [*COUNTRIES, *UNDECIDED])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("sr-Latn", ("srp_Cyrl", "hrv_Latn", "bos_Latn")),
        ("Serbian (Latin)", ("srp_Cyrl", "hrv_Latn", "bos_Latn")),
        ("ar-Latn", ("arb_Arab", "arz_Arab", "apc_Arab", "ajp_Arab", "acm_Arab")),
        ("Serbo-Croatian", ("hrv_Latn", "bos_Latn", "srp_Cyrl")),
        ("zh-Latn", ("zho_Hans", "zho_Hant", "yue_Hant")),
        ("Frnech", ("fra_Latn",)),
        ("Germna", ("deu_Latn",)),
        ("Portugese", ("por_Latn",)),
        ("fra_Latx", ("fra_Latn",)),
    ],
)
def test_an_error_suggests_the_same_language_its_relatives_and_what_is_spelled_alike(
    text: str, first: tuple[str, ...]
) -> None:
    """The best suggestion comes first."""
    with pytest.raises(UnsupportedLanguageError) as caught:
        parse_language(text)

    assert caught.value.nearest[: len(first)] == first


@pytest.mark.parametrize(
    ("text", "deployed", "code"),
    [
        ("fr", ["eng_Latn", "fra_Latn"], "fra_Latn"),
        ("zh", ["eng_Latn", "zho_Hant"], "zho_Hant"),
        ("Chinese", ["zho_Hant", "zho_Hans"], "zho_Hans"),
        ("eng_XX", ["eng_XX"], "eng_XX"),
        (" my custom code ", ["my custom code"], "my custom code"),
        ("MY_CODE", ["my_code"], "my_code"),
        ("x" * 200, ["x" * 200], "x" * 200),
    ],
    ids=["alias", "only form served", "usual form", "own code", "trimmed", "own code in another case", "long own code"],
)
def test_the_codes_a_model_serves_are_accepted(text: str, deployed: list[str], code: str) -> None:
    """A model may have codes of its own; a macrolanguage is the form that is served."""
    assert parse_language(text, deployed=deployed) == code


@pytest.mark.parametrize(
    ("text", "deployed", "nearest"),
    [
        ("fr", ["eng_Latn", "deu_Latn"], ()),
        ("zh-TW", ["eng_Latn", "zho_Hans"], ("zho_Hans",)),
        ("nn", ["eng_Latn", "dan_Latn", "nob_Latn"], ("nob_Latn", "dan_Latn")),
        ("", ["xx_XX", "aa_AA"], ("aa_AA", "xx_XX")),
        ("fr", [], ()),
    ],
    ids=["undeployed", "other script", "relatives", "nothing alike", "nothing served"],
)
def test_a_language_the_model_does_not_serve_is_refused(
    text: str, deployed: list[str], nearest: tuple[str, ...]
) -> None:
    """Only codes that would have worked are suggested."""
    with pytest.raises(UnsupportedLanguageError) as caught:
        parse_language(text, deployed=deployed)

    assert caught.value.nearest[: len(nearest)] == nearest
    assert set(caught.value.nearest) <= set(deployed)


def test_an_ambiguous_language_has_several_candidates_and_a_precise_one_has_one() -> None:
    """The usual form comes first."""
    assert language_candidates("zh") == ("zho_Hans", "zho_Hant")
    assert language_candidates("zh-TW") == ("zho_Hant",)
    assert language_candidates("nothing") == ()


@given(st.text() | st.from_regex(r"[a-zA-Z]{1,9}([-_][a-zA-Z0-9]{0,9}){0,4}", fullmatch=True))
@example("İ")
@example("ﬀ")
@example("a" * 81)
def test_any_text_is_a_code_or_an_error(text: str) -> None:
    """Nothing else can come of a language field."""
    try:
        code = parse_language(text)
    except UnsupportedLanguageError as error:
        assert error.language == text[:160]  # noqa: PT017 - either outcome is right
        assert lookup_language(text) is None
    else:
        assert code in FLORES_200
        assert lookup_language(text) == code
