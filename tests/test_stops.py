"""Stop strings in a growing text: where it ends, and what of it is certain before that."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.stops import StopFinder

ALPHABET = "ab"


@given(
    st.lists(st.text(ALPHABET, max_size=6), max_size=8),
    st.lists(st.text(ALPHABET, min_size=1, max_size=6), max_size=4),
)
def test_the_earliest_string_ends_the_text(pieces: list[str], strings: list[str]) -> None:
    """Whatever the pieces: nothing past the end is ever certain, and the end is found."""
    text = "".join(pieces)
    end = min((start for string in strings if (start := text.find(string)) >= 0), default=len(text))
    finder = StopFinder(strings)
    certain = 0

    for piece in pieces:
        finder.read(piece)
        assert certain <= finder.certain <= end
        certain = finder.certain
        if finder.stopped:
            break

    assert (finder.certain if finder.stopped else finder.close()) == end


@pytest.mark.parametrize(
    ("strings", "text", "certain", "stopped"),
    [
        (["stop"], "go on", 5, False),
        (["stop"], "go st", 3, False),
        (["stop"], "go stop", 3, True),
        (["abcd", "c"], "xabc", 1, False),
        (["abcd", "c"], "xabcd", 1, True),
        (["abcd", "c"], "xabce", 3, True),
        ([], "all of it", 9, False),
    ],
    ids=["no", "begun", "whole", "an earlier one may come", "it came", "it did not", "none"],
)
def test_what_is_certain(strings: list[str], text: str, certain: int, stopped: bool) -> None:  # noqa: FBT001 - a case
    """A string that may be under way holds back the text from its beginning, and one within it waits."""
    finder = StopFinder(strings)

    for character in text:
        finder.read(character)

    assert (finder.certain, finder.stopped) == (certain, stopped)


def test_strings_that_nearly_match_all_the_time_cost_no_more() -> None:
    """Each character is looked at once or twice: twice the text takes twice the time, not four times."""

    def cost(length: int) -> float:
        finder = StopFinder([" " * 1000 + "x"])
        start = time.process_time()
        for _ in range(length):
            finder.read(" ")
        return time.process_time() - start

    cost(1000)
    assert min(cost(40_000) for _ in range(3)) < 10 * min(cost(10_000) for _ in range(3))
