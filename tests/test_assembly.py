"""Putting decoded sentences, gaps, caps and stop strings together."""

from collections.abc import Sequence

import pytest
from assembled import assemble
from hypothesis import given
from hypothesis import strategies as st

from handler.assembly import Decoded


def _decode(tokens: Sequence[str]) -> str:
    return "".join(tokens).replace("▁", " ").strip()


ONE = Decoded(["▁How", "▁are", "▁you", "?"], ended=True)
TWO = Decoded(["▁Fine", "."], ended=True)


def test_gaps_stay_where_they_are() -> None:
    """List marks and line breaks around the sentences are the user's own."""
    choice = assemble(["- ", ONE, "\r\n\r\n", TWO, "\n"], decode=_decode)

    assert (choice.text, choice.completion_tokens, choice.finish_reason) == ("- How are you?\r\n\r\nFine.\n", 6, "stop")


@pytest.mark.parametrize(
    ("cap", "text", "tokens", "reason"),
    [
        (1, "How", 1, "length"),
        (3, "How are you", 3, "length"),
        (4, "How are you? ", 4, "length"),
        (5, "How are you? Fine", 5, "length"),
        (6, "How are you? Fine.", 6, "stop"),
        (7, "How are you? Fine.", 6, "stop"),
    ],
)
def test_the_cap_counts_over_all_sentences(cap: int, text: str, tokens: int, reason: str) -> None:
    """The cap is reached in the middle of a sentence, between two, at the end and not at all."""
    choice = assemble([ONE, " ", TWO], decode=_decode, max_completion_tokens=cap)

    assert (choice.text, choice.completion_tokens, choice.finish_reason) == (text, tokens, reason)


def test_a_sentence_that_ran_into_its_bound_is_a_length_finish_and_drops_nothing_after_it() -> None:
    """One endless sentence does not take the others along."""
    choice = assemble([Decoded(["▁la"] * 3, ended=False), " ", TWO], decode=_decode)

    assert (choice.text, choice.finish_reason) == ("la la la Fine.", "length")


@pytest.mark.parametrize(
    ("stop", "text", "tokens"),
    [
        (("you",), "How are ", 3),
        (("are you?", "How"), "", 0),
        (("Fine", "?"), "How are you", 3),
        (("? F",), "How are you", 3),
        (("absent",), "How are you? Fine.", 6),
        ((".",), "How are you? Fine", 5),
    ],
    ids=["inside", "at the start", "earliest wins", "across sentences", "absent", "in the last sentence"],
)
def test_stop_cuts_the_text_literally(stop: tuple[str, ...], text: str, tokens: int) -> None:
    """The text is the unstopped one cut there, and only what it took is counted."""
    choice = assemble([ONE, " ", TWO], decode=_decode, stop=stop)

    assert (choice.text, choice.completion_tokens, choice.finish_reason) == (text, tokens, "stop")


@given(
    st.lists(st.one_of(st.text("ab \n", max_size=3), st.lists(st.sampled_from(["▁a", "b", "▁ab"]), max_size=4))),
    st.integers(1, 8),
    st.text("ab", min_size=1, max_size=2),
)
def test_caps_and_stops_only_ever_shorten(parts: list[str | list[str]], cap: int, stop: str) -> None:
    """Whatever the parts: a capped answer respects its cap, a stopped one is a prefix without the stop string."""
    decoded = [part if isinstance(part, str) else Decoded(part, ended=True) for part in parts]

    whole = assemble(decoded, decode=_decode)
    capped = assemble(decoded, decode=_decode, max_completion_tokens=cap)
    stopped = assemble(decoded, decode=_decode, stop=[stop])

    assert capped.completion_tokens <= cap
    assert (capped.finish_reason == "length") == (whole.completion_tokens > cap)
    assert whole.text.startswith(stopped.text)
    assert stop not in stopped.text
    assert stopped.completion_tokens <= whole.completion_tokens
