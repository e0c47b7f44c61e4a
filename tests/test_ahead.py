"""Calls that are begun before their results are asked for."""

import threading

import pytest

from handler import ahead


def _fail(text: str) -> str:
    raise ValueError(text)


def test_a_begun_call_runs_in_a_thread_of_its_own_and_its_result_is_handed_out_once() -> None:
    """Who asks again gets a call of its own."""
    ran_in: list[str] = []

    def call(text: str, *, times: int) -> str:
        ran_in.append(threading.current_thread().name)
        return text * times

    ahead.begin(call, "ab", times=2)

    assert ahead.result(call, "ab", times=2) == "abab"
    assert ahead.result(call, "ab", times=2) == "abab"
    assert ran_in == ["ahead-call", threading.current_thread().name]


def test_a_call_with_other_arguments_is_another_call() -> None:
    """A guess that proves wrong changes nothing."""
    ahead.begin(max, 3, 5)

    assert ahead.result(max, 3, 4) == 4
    assert ahead.forget() == 1
    assert ahead.forget() == 0


def test_what_a_begun_call_raised_is_raised_for_the_one_who_asks() -> None:
    """And the next one tries again."""
    ahead.begin(_fail, "first")

    with pytest.raises(ValueError, match="first"):
        ahead.result(_fail, "first")
    assert ahead.forget() == 0
