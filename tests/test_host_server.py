"""When a host's server ends: by signals, and with an engine that is broken."""

import asyncio
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event, Thread

import pytest
import uvicorn
from conftest import ROOT
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from test_health import wait_until

from handler import host_server
from handler.drain import Drain
from handler.host_server import HostServer

TIMEOUT_S = 20


class Engines:
    """One that is broken from some moment on, and what comes of its trial."""

    def __init__(self, trial: Callable[["Engines"], bool]) -> None:
        self.fails = False
        self.trials = 0
        self._trial = trial

    def broken(self) -> bool:
        """Return whether it is."""
        return self.fails

    def try_broken(self) -> bool:
        """Try it."""
        self.trials += 1
        return self._trial(self)


class Host:
    """A server of one request that takes as long as the test wants."""

    def __init__(self, engines: Engines) -> None:
        self.release = Event()
        self.running = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(self._app, interface="asgi3", log_config=None, lifespan="off")
        self.server = HostServer(config, drain=Drain(limit_s=60, running=lambda: self.running), engines=engines)
        self.thread = Thread(target=self.server.run, kwargs={"sockets": [self._listening]})

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        try:
            await PlainTextResponse(await self._text())(scope, receive, send)
        finally:
            self.running -= 1

    async def _text(self) -> str:
        await asyncio.to_thread(self.release.wait, TIMEOUT_S)
        return "here"

    def ask(self) -> int:
        """Ask, and return the status of the answer."""
        host, port = self._listening.getsockname()
        with closing(http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status


@contextmanager
def busy(engines: Engines) -> Iterator[tuple[Host, "Future[int]"]]:
    """A server that runs and has a request to answer."""
    host = Host(engines)
    host.thread.start()
    try:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(host.ask)
            wait_until(lambda: host.running == 1)
            try:
                yield host, answer
            finally:
                host.release.set()
    finally:
        host.server.should_exit = True
        host.thread.join(TIMEOUT_S)


def heal(engines: Engines) -> bool:
    """Turn out to work."""
    engines.fails = False
    return True


def test_an_engine_that_works_after_all_goes_on() -> None:
    """It is tried each time that it has failed so often."""
    engines = Engines(heal)
    with busy(engines) as (host, _):
        for trial in (1, 2):
            engines.fails = True
            wait_until(lambda trial=trial: engines.trials == trial and not engines.fails)  # type: ignore[misc]
        time.sleep(0.5)

        assert host.thread.is_alive()
        assert not host.server.failed


def test_a_broken_engine_ends_the_process_and_a_signal_does_not_hurry_it() -> None:
    """What runs is answered, although somebody asks for the end meanwhile."""
    engines = Engines(lambda _: False)
    with busy(engines) as (host, answer):
        engines.fails = True
        wait_until(lambda: host.server.failed)
        host.server.handle_exit(signal.SIGTERM, None)
        time.sleep(1)
        assert host.thread.is_alive()
        assert not answer.done()
        host.release.set()

        assert answer.result(TIMEOUT_S) == http.client.OK
        host.thread.join(TIMEOUT_S)
        assert not host.thread.is_alive()
        assert host.server.failed
    assert engines.trials == 1


def test_a_device_that_hangs_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trial has a limit."""
    monkeypatch.setattr(host_server, "_TRIAL_S", 0.3)
    ended = Event()
    engines = Engines(lambda _: ended.wait(TIMEOUT_S))
    with busy(engines) as (host, _):
        engines.fails = True
        wait_until(lambda: host.server.failed)
    ended.set()


def test_a_process_with_a_broken_engine_ends_beside_threads_that_hang() -> None:
    """Python would wait for them."""
    script = """
import sys, threading, time
from handler import __main__ as command

command._HANGING_S = 0.3
threading.Thread(target=time.sleep, args=(60,)).start()
sys.exit(command._end_broken())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=TIMEOUT_S, check=False)

    assert done.returncode == 1
