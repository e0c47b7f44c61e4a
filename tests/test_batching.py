"""Sentences of several requests in one batch: the same answers, each as soon as its own sentences are decoded."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path
from threading import Event
from time import monotonic, sleep

import pytest
from conftest import Answer, running_server
from documents import document
from hypothesis import given
from hypothesis import strategies as st

from handler import batcher as batcher_module
from handler.assembly import Decoded, State
from handler.batcher import Batcher, Careful, Decode
from handler.batches import Budget, next_batch, padded
from handler.cancellation import Cancellation
from handler.catalog import build_catalog
from handler.decoder import Decoder
from handler.decoding_options import DecodingOptions
from handler.engine import Engine
from handler.errors import AbandonedError, EngineError
from handler.loader import load_engine
from handler.settings import Settings
from handler.tasks import Sentence, Task
from handler.weights import open_translator

TIMEOUT_S = 30.0
GREEDY, BEAM = DecodingOptions(), DecodingOptions(beam_size=4)
LANGUAGES = ("fra_Latn", "deu_Latn", "spa_Latn")
SENTENCES = [source for source, _ in document().sentences][:60]


def _task(
    *sentences: int,
    options: DecodingOptions = GREEDY,
    cancellation: Cancellation | None = None,
    on_taken: Callable[[], object] = lambda: None,
    on_tokens: Callable[[int, int, Sequence[str], State], bool] = lambda *_: False,
    live: bool = False,
) -> Task:
    """Return a task with sentences of these lengths."""
    task = Task(
        options=options,
        cancellation=cancellation or Cancellation(),
        on_start=lambda _: None,
        on_taken=on_taken,
        on_tokens=on_tokens,
        live=live,
    )
    for index, length in enumerate(sentences):
        task.add(index, ["a"] * length, target_lang="fra_Latn", bound=9)
    return task


def _end(sentences: Iterable[Sentence]) -> None:
    for sentence in sentences:
        sentence.end([Decoded(["b"], ended=True)])


class Gate:
    """Decodes when it is let; the first batch holds everything up behind it."""

    def __init__(self) -> None:
        self.open = Event()
        self.batches: list[Sequence[Sentence]] = []

    def decode(self, batch: Sequence[Sentence]) -> None:
        """Decode ``batch``, once that is allowed."""
        opened = self.open
        self.batches.append(batch)
        assert opened.wait(TIMEOUT_S)
        _end(batch)

    def shut(self) -> None:
        """Let the batch that waits go, and none after it."""
        waited, self.open = self.open, Event()
        waited.set()

    def wait_for(self, count: int) -> None:
        """Return once so many batches have begun."""
        deadline = monotonic() + TIMEOUT_S
        while len(self.batches) < count:
            assert monotonic() < deadline
            sleep(0.001)


def _waiting(batcher: Batcher, pool: ThreadPoolExecutor, *tasks: Task) -> list[Future[None]]:
    """Hand ``tasks`` to ``batcher``, in this order."""
    futures = []
    for task in tasks:
        futures.append(pool.submit(batcher.run, task))
        deadline = monotonic() + TIMEOUT_S
        while task not in batcher._tasks:  # noqa: SLF001 - nothing else tells that it waits
            assert monotonic() < deadline
            sleep(0.001)
    return futures


@pytest.fixture
def gate() -> Gate:
    """A gate that is shut."""
    return Gate()


@pytest.fixture
def batcher(gate: Gate) -> Iterator[Batcher]:
    """A batcher behind the gate."""
    batcher = Batcher(Careful(gate.decode, "cpu"), replicas=1, on_batch=lambda _: None)
    yield batcher
    gate.open.set()
    batcher.close()


def test_together_they_are_answered_as_alone(nllb: Engine) -> None:
    """Any mix of languages, lengths and searches, streamed or not, two batches at a time."""
    sizes: list[int] = []
    spec = next(iter(build_catalog(Settings(inter_threads=2)).models.values()))
    together, _ = load_engine(spec, batching=True, on_batch=lambda batch: sizes.append(len(batch)))
    asked = [
        (text, language, options)
        for number, text in enumerate(SENTENCES)
        for language in LANGUAGES
        for options in ([GREEDY, BEAM] if number % 2 else [GREEDY, DecodingOptions(max_completion_tokens=3)])
    ]

    def ask(engine: Engine, text: str, language: str, options: DecodingOptions, *, streamed: bool = False) -> str:
        told: list[str] = []
        answer = engine.translate(
            text,
            source_lang="eng_Latn",
            target_lang=language,
            options=options,
            on_text=(lambda _, further: told.append(further)) if streamed else None,
        )
        assert not streamed or "".join(told) == answer.choices[0].text
        return answer.choices[0].text

    alone = [ask(nllb, *question) for question in asked]
    with ThreadPoolExecutor(24) as pool:
        futures = [
            pool.submit(ask, together, *question, streamed=number % 5 == 0) for number, question in enumerate(asked)
        ]
        answers = [future.result(TIMEOUT_S) for future in futures]
    together.close()

    assert answers == alone
    assert max(sizes) > 4
    assert sum(sizes) >= len(asked)


class Fussy:
    """Decodes no batch with a sentence of a certain length: what CTranslate2 cannot decode fails all of its batch."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.sizes: list[int] = []

    def decode(self, batch: Sequence[Sentence]) -> None:
        """Decode ``batch``, or tell a first token of each sentence and fail."""
        self.sizes.append(len(batch))
        if any(len(sentence.tokens) == self.length for sentence in batch):
            if len(batch) > 1:
                for sentence in batch:
                    sentence.step(0, "b", last=False)
            raise EngineError
        _end(batch)


def _together(decode: Decode, *tasks: Task) -> list[Exception | None]:
    """Have ``tasks`` decoded in one batch, behind another that holds them up; return what each came to."""
    gate, blocker = Gate(), _task(3)
    decoders = chain([gate.decode], repeat(decode))

    def decode_next(batch: Sequence[Sentence]) -> None:
        next(decoders)(batch)

    batcher = Batcher(Careful(decode_next, "cpu"), replicas=1, on_batch=lambda _: None)
    with ThreadPoolExecutor(len(tasks) + 1) as pool:
        pool.submit(batcher.run, blocker)
        gate.wait_for(1)
        futures = _waiting(batcher, pool, *tasks)
        gate.open.set()
        outcomes = [future.exception(TIMEOUT_S) for future in futures]
    batcher.close()
    batcher.join()
    return [outcome if outcome is None else _exception(outcome) for outcome in outcomes]


def _exception(outcome: BaseException) -> Exception:
    assert isinstance(outcome, Exception)
    return outcome


def test_what_cannot_be_decoded_fails_alone() -> None:
    """Its batch mates are decoded again, each by itself, and hear of every token once they are certain."""
    told: list[tuple[Sequence[str], State]] = []

    def on_tokens(_: int, __: int, tokens: Sequence[str], state: State) -> bool:
        told.append((list(tokens), state))
        return False

    fussy = Fussy(7)
    good, bad = [_task(5, on_tokens=on_tokens), _task(6)], _task(7)

    outcomes = _together(fussy.decode, good[0], bad, good[1])

    assert [type(outcome) for outcome in outcomes] == [type(None), EngineError, type(None)]
    assert fussy.sizes == [3, 1, 1, 1]
    assert told == [(["b"], "ended")]


def test_what_was_told_is_not_decoded_again() -> None:
    """A stream that somebody has seen the beginning of fails with its batch: it need not come out the same again."""
    fussy = Fussy(7)
    stream, whole, bad = _task(5, live=True), _task(6), _task(7)

    outcomes = _together(fussy.decode, stream, whole, bad)

    assert [type(outcome) for outcome in outcomes] == [EngineError, type(None), EngineError]
    assert fussy.sizes == [3, 1, 1]


def test_ctranslate2_refuses_a_sentence_and_goes_on() -> None:
    """One that is beyond its positions; the next is decoded."""
    spec = next(iter(build_catalog(Settings()).models.values()))
    translator = open_translator(
        str(spec.path),
        family="nllb",
        device="cpu",
        device_indices=(0,),
        compute_type="default",
        flash_attention=False,
        inter_threads=1,
        intra_threads=1,
    )
    decoder = Decoder(
        translator,
        family="nllb",
        max_target_tokens=spec.max_target_tokens,
        batching=True,
        on_batch=lambda _: None,
    )

    def decode(tokens: list[str]) -> None:
        decoder.decode(
            [tokens],
            "fra_Latn",
            GREEDY,
            Cancellation(),
            on_start=lambda _: None,
            on_taken=lambda: None,
            on_tokens=lambda *_: False,
            live=False,
        )

    with pytest.raises(EngineError):
        decode(["eng_Latn", *["▁you"] * 2000, "</s>"])
    decode(["eng_Latn", "▁Thank", "▁you", ".", "</s>"])
    decoder.close()

    assert not translator.model_is_loaded
    assert not _batch_threads()


def _batch_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches-")]


def test_an_engine_that_fails_whatever_it_is_given_is_broken() -> None:
    """A device that has lost its state fails all that follow; one good batch shows that it has not."""
    works = False

    def decode(batch: Sequence[Sentence]) -> None:
        if not works:
            raise EngineError
        _end(batch)

    careful = Careful(decode, "cpu")
    batcher = Batcher(careful, replicas=1, on_batch=lambda _: None)
    states = []
    for works in (False, False, True, False, False, False, True):
        task = _task(3)
        if works:
            batcher.run(task)
        else:
            with pytest.raises(EngineError):
                batcher.run(task)
        states.append(careful.broken)
    batcher.close()

    assert states == [False, False, False, False, True, True, True]


def test_each_hears_of_its_own_sentence_first() -> None:
    """Who is decoded beside a long sentence does not wait for its end."""
    short, long = _task(3), _task(3)
    goes_on = Event()

    def decode(batch: Sequence[Sentence]) -> None:
        for sentence in batch:
            if sentence.task is short:
                sentence.step(0, "</s>", last=True)
        assert goes_on.wait(TIMEOUT_S)
        _end(batch)

    gate = Gate()
    first = _task(3)
    decoders = iter([gate.decode, decode])

    def decode_next(batch: Sequence[Sentence]) -> None:
        next(decoders)(batch)

    batcher = Batcher(Careful(decode_next, "cpu"), replicas=1, on_batch=lambda _: None)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(batcher.run, first)
        gate.wait_for(1)
        long_answer, short_answer = _waiting(batcher, pool, long, short)
        gate.open.set()

        short_answer.result(TIMEOUT_S)
        assert not long_answer.done()
        goes_on.set()
        long_answer.result(TIMEOUT_S)
    batcher.close()


def test_a_document_keeps_nobody_waiting_for_its_end(gate: Gate, batcher: Batcher) -> None:
    """A single sentence goes into the next batch, whatever was there before it."""
    blocker, document_, single = _task(3), _task(*[20] * 300), _task(20)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(batcher.run, blocker)
        gate.wait_for(1)
        waiting, answer = _waiting(batcher, pool, document_, single)
        gate.open.set()

        answer.result(TIMEOUT_S)
        waiting.result(TIMEOUT_S)

    assert single in {sentence.task for sentence in gate.batches[1]}
    assert len(gate.batches) > 3


def test_a_document_waits_until_its_last_sentence_is_decoded(gate: Gate, batcher: Batcher) -> None:
    """That is when it is told, and once."""
    left: list[int] = []
    document_ = _task(*[20] * 100, on_taken=lambda: left.append(len(gate.batches)))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(batcher.run, document_)
        gate.wait_for(1)
        assert left == []
        gate.open.set()
        answer.result(TIMEOUT_S)

    # Taken out before the batch it is in begins.
    assert left == [len(gate.batches) - 1]
    assert left[0] > 0


def test_different_searches_take_turns(gate: Gate, batcher: Batcher) -> None:
    """A document with one search does not starve a sentence with another."""
    blocker, document_, single = _task(3), _task(*[20] * 300), _task(20, options=BEAM)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(batcher.run, blocker)
        gate.wait_for(1)
        futures = _waiting(batcher, pool, document_, single)
        gate.open.set()
        for future in futures:
            future.result(TIMEOUT_S)

    assert [sentence.task for sentence in gate.batches[2]] == [single]


def test_who_gives_up_while_it_waits_is_free_at_once(gate: Gate, batcher: Batcher) -> None:
    """And is never decoded; who gives up while it is decoded is free with its batch; the mates are answered."""
    waiting_cancelled, running_cancelled = Cancellation(), Cancellation()
    running, waiting = _task(3, cancellation=running_cancelled), _task(5, 5, cancellation=waiting_cancelled)
    mate = _task(4)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batcher.run, running)
        gate.wait_for(1)
        second, third = _waiting(batcher, pool, waiting, mate)
        waiting_cancelled.cancel()
        with pytest.raises(AbandonedError):
            second.result(TIMEOUT_S)
        running_cancelled.cancel()
        gate.open.set()
        with pytest.raises(AbandonedError):
            first.result(TIMEOUT_S)
        third.result(TIMEOUT_S)

    assert [len(sentence.tokens) for batch in gate.batches for sentence in batch] == [3, 4]


def test_who_finds_the_engine_idle_decodes_in_its_own_thread(gate: Gate) -> None:
    """To be handed over and woken again would only take time; who comes meanwhile is decoded by the batcher's."""
    threads: list[str] = []
    batcher = Batcher(
        Careful(gate.decode, "cpu"), replicas=1, on_batch=lambda _: threads.append(threading.current_thread().name)
    )
    with ThreadPoolExecutor(3, thread_name_prefix="caller") as pool:
        # More than one batch: what is left takes its turn with others.
        document_ = pool.submit(batcher.run, _task(*[20] * 90))
        gate.wait_for(1)
        futures = _waiting(batcher, pool, _task(20), _task(20))
        gate.open.set()
        for future in (document_, *futures):
            future.result(TIMEOUT_S)
    batcher.close()
    batcher.join()

    assert threads[0].startswith("caller")
    assert len(threads) > 1
    assert set(threads[1:]) == {"batches-0"}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let batchers wait for long for those whom the last batch has answered."""
    for name in ("_GATHER_PAUSE", "_GATHER"):
        monkeypatch.setattr(batcher_module, name, (TIMEOUT_S, 0.0))


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("back", [2, 3])
def test_who_was_answered_together_is_decoded_together_again(gate: Gate, batcher: Batcher, back: int) -> None:
    """The next batch waits for those whom the last has answered, and not for one who has given up."""
    cancellations = [Cancellation() for _ in range(3)]
    with ThreadPoolExecutor(5) as pool:
        leader = pool.submit(batcher.run, _task(3))
        gate.wait_for(1)
        futures = _waiting(batcher, pool, *(_task(4, cancellation=cancellation) for cancellation in cancellations))
        gate.shut()
        leader.result(TIMEOUT_S)
        gate.wait_for(2)
        for cancellation in cancellations[back:]:
            cancellation.cancel()
        gate.open.set()
        for cancellation, future in zip(cancellations[:back], futures, strict=False):
            future.result(TIMEOUT_S)
            # A request that has its answer lets go of whatever might still run for it.
            cancellation.cancel()
        start = monotonic()
        again = []
        for _ in range(back):
            sleep(0.02)
            again.append(pool.submit(batcher.run, _task(5)))
        for future in again:
            future.result(TIMEOUT_S)
        took_s = monotonic() - start

    assert [len(batch) for batch in gate.batches] == [1, 3, len(again)]
    assert took_s < TIMEOUT_S / 2


@pytest.mark.usefixtures("patient")
def test_who_wants_another_search_does_not_wait_for_them(gate: Gate, batcher: Batcher) -> None:
    """It could not be decoded with those whom the last batch has answered."""
    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(batcher.run, _task(3))
        gate.wait_for(1)
        futures = _waiting(batcher, pool, _task(4), _task(4), _task(4, options=BEAM))
        start = monotonic()
        gate.open.set()
        for future in (leader, *futures):
            future.result(TIMEOUT_S)
        took_s = monotonic() - start

    assert [len(batch) for batch in gate.batches] == [1, 2, 1]
    assert took_s < TIMEOUT_S / 2


def test_it_ends_with_the_batch_of_who_leads(gate: Gate, batcher: Batcher) -> None:
    """What is left of the document then fails."""
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(batcher.run, _task(*[20] * 90))
        gate.wait_for(1)
        batcher.close()
        joined = pool.submit(batcher.join)
        gate.open.set()
        joined.result(TIMEOUT_S)
        with pytest.raises(EngineError):
            leader.result(TIMEOUT_S)

    assert len(gate.batches) == 1


def test_what_waits_when_it_is_closed_fails(gate: Gate, batcher: Batcher) -> None:
    """And so does what comes later; what is being decoded is still answered."""
    running, waiting = _task(3), _task(5)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.run, running)
        gate.wait_for(1)
        [second] = _waiting(batcher, pool, waiting)
        batcher.close()
        with pytest.raises(EngineError):
            second.result(TIMEOUT_S)
        with pytest.raises(EngineError):
            batcher.run(_task(3))
        gate.open.set()
        first.result(TIMEOUT_S)


def test_a_fault_of_one_listener_is_its_own() -> None:
    """An error in what takes the tokens fails that request and no other."""

    def fault(*_: object) -> bool:
        raise ZeroDivisionError

    faulty, good = _task(3, on_tokens=fault), _task(3)
    batcher = Batcher(Careful(_end, "cpu"), replicas=1, on_batch=lambda _: None)
    with pytest.raises(ZeroDivisionError):
        batcher.run(faulty)
    batcher.run(good)
    batcher.close()


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@given(st.lists(st.tuples(LENGTHS, st.sampled_from([GREEDY, BEAM])), min_size=1, max_size=6), st.integers(1, 400))
def test_batches_hold_every_sentence_once(drawn: list[tuple[list[int], DecodingOptions]], max_tokens: int) -> None:
    """Within the bound, of one search, and each request of that search in the first batch while there is room."""
    tasks = [_task(*lengths, options=options) for lengths, options in drawn]
    seen: list[tuple[Task, int]] = []
    while left := [task for task in tasks if task.next is not None]:
        batch = next_batch(left, max_tokens)
        assert batch[0].task is left[0]
        assert len({sentence.task.search for sentence in batch}) == 1
        assert len(batch) == 1 or padded(batch) <= max_tokens
        counts = [sum(sentence.task is task for sentence in batch) for task in left]
        assert max(counts) == 1 or not any(
            count == 0 and task.search == left[0].search and padded([*batch[:-1], task.next]) <= max_tokens
            for count, task in zip(counts, left, strict=True)
            if task.next is not None and task.search.step_by_step
        )
        seen += [(sentence.task, sentence.index) for sentence in batch]

    assert sorted((tasks.index(task), index) for task, index in seen) == [
        (number, index) for number, (lengths, _) in enumerate(drawn) for index in range(len(lengths))
    ]


def test_batches_grow_with_the_speed_of_the_model() -> None:
    """Those of a fast model get large, those of a slow one stay small; half-empty ones tell nothing."""
    fast, slow, on_cpu = Budget("cuda"), Budget("cuda"), Budget("cpu")
    least = fast.tokens
    for budget, seconds in ((fast, 0.001), (slow, 60.0), (on_cpu, 0.001)):
        for _ in range(9):
            budget.learn(next_batch([_task(*[20] * 900)], budget.tokens), seconds)
    grown = fast.tokens
    fast.learn(next_batch([_task(3)], grown), 1e-6)

    assert slow.tokens == least < on_cpu.tokens < fast.tokens
    assert fast.tokens == grown > 10 * least
    fast.shrink()
    assert fast.tokens == grown // 2


def test_what_nobody_waited_for_tells_nothing_of_speed() -> None:
    """A batch whose requests were given up is over in a moment: larger ones would make a slow server slower."""
    careful = Careful(_end, "cpu")
    before = careful.budget.tokens
    for _ in range(9):
        cancellation = Cancellation()
        cancellation.cancel()
        careful.decode(next_batch([_task(*[20] * 90, cancellation=cancellation)], before))

    assert careful.budget.tokens == before


def test_many_at_once_over_http_get_their_own_answers(tmp_path: Path) -> None:
    """Each its own; the header tells how long it waited for others."""
    expected = dict(document().sentences[:48])

    def ask(text: str) -> Answer:
        return server.chat(text, source_lang="eng_Latn", target_lang="fra_Latn")

    with running_server(tmp_path) as server, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, expected))

    contents = [answer.json()["choices"][0]["message"]["content"] for answer in answers]
    assert contents == list(expected.values())
    assert all("queue;dur=" in answer.headers["server-timing"] for answer in answers)
