"""``python -m handler``, the console script and ``uvicorn handler.main:app``, as an operator starts them."""

import http.client
import importlib
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import ROOT, clean_environment, running_server

import handler
from handler import __version__
from handler.__main__ import _listen, main

TIMEOUT_S = 60


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=ROOT / "tests",
        env=clean_environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def test_show_config_prints_every_setting_with_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is loaded and nothing listens."""
    assert main(["--show-config", "--port", "9", "--device", "cpu"]) == 0

    output = capsys.readouterr().out
    assert "server_port = 9  # command line" in output
    assert 'device = "cpu"  # command line' in output
    assert "beam_size = 4  # default" in output


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--port", "70000"], ["--port", "'70000'", "65535"]),
        (["--device", "tpu"], ["--device", "'tpu'", "cpu, cuda, auto"]),
        (["--config", "/nowhere.toml"], ["/nowhere.toml", "no such"]),
        (["--model-path", "/nowhere"], ["--model-path: ", "/nowhere"]),
        (["--model-path", "https://host/m"], ["--model-path: ", "neither a folder nor s3://bucket/prefix"]),
        (["--default-model", "gpt-5"], ["--default-model: ", "'gpt-5'", "nllb-demo"]),
    ],
    ids=["port", "device", "config", "model path", "another URL", "default model"],
)
def test_a_wrong_start_is_one_line_and_exit_code_2(
    arguments: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, whatever is wrong."""
    assert main(arguments) == 2

    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert all(part in error for part in parts), error


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"METRICS": "guarded"}, "'guarded', and there are no api_keys"),
        ({"DOCS": "guarded"}, "'guarded', and there are no api_keys"),
        ({"UNLOAD_AFTER_S": "5"}, '5, and only models with load = "lazy" are unloaded'),
        ({"API_KEYS": ""}, "no key in it; leave it out to have none"),
    ],
    ids=["metrics", "docs", "unload", "keys"],
)
def test_settings_that_contradict_each_other_stop_the_start(variables: dict[str, str], reason: str) -> None:
    """None is dropped without a word."""
    result = _run(sys.executable, "-m", "handler", "--port", "0", **variables)

    assert result.returncode == 2
    [name] = variables
    assert result.stderr.startswith(f"error: environment variable {name}: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


LOOK = """
import signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "handler.settings":
            print("SIGTERM is heard:", callable(signal.getsignal(signal.SIGTERM)))

sys.meta_path.insert(0, Finder())
"""


def test_sigterm_is_heard_before_the_imports_that_take_time(tmp_path: Path) -> None:
    """The first process of a container would lose it."""
    (tmp_path / "sitecustomize.py").write_text(LOOK, encoding="utf-8")

    result = _run(sys.executable, "-m", "handler", "--version", PYTHONPATH=str(tmp_path))

    assert result.stdout.splitlines() == ["SIGTERM is heard: True", __version__]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="the machine has no IPv6")
def test_every_address_is_that_of_ipv4_too(tmp_path: Path) -> None:
    """A health check on 127.0.0.1 finds the server."""
    with running_server(tmp_path, "--host", "::") as server:
        port = urlsplit(server.url).port
        for host in ("127.0.0.1", "::1"):
            with closing(http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)) as connection:
                connection.request("GET", "/health/live")
                assert connection.getresponse().status == 200


def test_the_console_script_is_the_module() -> None:
    """Both names start the same program."""
    script = Path(sys.executable).with_name("ctranslate2-server")

    assert _run(str(script), "--version").stdout == _run(sys.executable, "-m", "handler", "--version").stdout


def test_a_port_in_use_is_said_in_one_line() -> None:
    """The usual mistake of a second start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = _run(sys.executable, "-m", "handler", "--port", str(port))

    assert result.returncode == 2
    assert result.stderr == f"error: cannot listen on 127.0.0.1:{port}: address already in use\n"


@pytest.mark.parametrize("entry", ["handler.main", "handler.aws_lambda"])
def test_entry_points_without_a_command_line_fail_in_one_line(entry: str) -> None:
    """Under uvicorn and in Lambda the configuration comes from the environment."""
    result = _run(sys.executable, "-c", f"import {entry}", CONFIG_FILE="/nowhere.toml")

    assert result.returncode == 1
    assert result.stderr == "error: /nowhere.toml: there is no such config file\n"


@pytest.mark.parametrize("entry", ["handler.main", "handler.aws_lambda"])
def test_a_bad_log_level_is_one_line_as_well(entry: str) -> None:
    """The logger exists before the settings are read."""
    result = _run(sys.executable, "-c", f"import {entry}", LOG_LEVEL="verbose")

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "LOG_LEVEL: 'VERBOSE': allowed: DEBUG" in result.stderr


@pytest.mark.parametrize("entry", ["handler.main", "handler.aws_lambda"])
def test_a_setting_that_the_models_do_not_bear_out_is_named_with_its_origin(entry: str) -> None:
    """The variable, not the key it stands for."""
    result = _run(sys.executable, "-c", f"import {entry}", ALIASES__GPT="nope")

    assert result.returncode == 1
    assert result.stderr == (
        "error: environment variable ALIASES__GPT: there is no model 'nope'; models: nllb-demo, t5-demo\n"
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_server_that_is_asked_to_end_does_so_quietly(tmp_path: Path, how: signal.Signals) -> None:
    """Exit code 0 and no traceback."""
    with running_server(tmp_path) as server:
        server.process.send_signal(how)
        assert server.process.wait(timeout=TIMEOUT_S) == 0

    assert "Traceback" not in server.log.read_text(encoding="utf-8")


def test_a_host_that_cannot_be_found_is_said_in_one_line() -> None:
    """The resolver's own reason."""
    result = _run(sys.executable, "-m", "handler", "--host", "no such host", "--port", "0")

    assert result.returncode == 2
    assert result.stderr.startswith("error: cannot listen on no such host:0: ")
    assert "unknown error" not in result.stderr


_SERVES = """
import gc, sys
from handler.__main__ import main
from handler.host_server import HostServer
HostServer.run = lambda self, sockets: print(sys.getswitchinterval(), gc.get_freeze_count() > 10_000)
main(["--port", "0", "--log-level", "ERROR"])
"""


def test_the_event_loop_does_not_wait_for_long_turns_or_old_garbage() -> None:
    """What the server runs with: a fifth of Python's interval, and the start's objects out of the collector's way."""
    result = _run(sys.executable, "-c", _SERVES)

    assert result.stdout.split() == ["0.001", "True"], result.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_is_not_held_back(host: str) -> None:
    """Head and body are two writes: with Nagle's algorithm the second waits for a delayed acknowledgement, 40 ms."""
    with _listen(host, 0) as listening:
        address = listening.getsockname()[:2]
        with socket.create_connection(address, TIMEOUT_S), listening.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_main_composes_the_app_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``uvicorn handler.main:app`` has an app to serve as soon as the module is imported."""
    monkeypatch.setenv("DEFAULT_MODEL", "t5-demo")
    module = importlib.import_module("handler.main")

    assert module.app.version == handler.__version__
    assert module.app.state.models.default.id == "t5-demo"
    module.app.state.models.wait()
    assert module.app.state.models.ready()


def test_the_printed_request_works_when_pasted(tmp_path: Path) -> None:
    """The line goes through a real shell and the real curl."""
    with running_server(tmp_path) as server:
        line = next(line for line in server.log.read_text(encoding="utf-8").splitlines() if line.startswith("curl "))
        answer = subprocess.run(  # noqa: S602 - pasting into a shell is what is tested
            line, shell=True, capture_output=True, text=True, check=True, timeout=TIMEOUT_S
        )

    assert "Où est la gare ?" in answer.stdout


def test_the_readme_holds_no_gaps_and_its_commands_exist() -> None:
    """Figures are filled in, and every make target it names is one."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert "@@" not in readme
    targets = set(re.findall(r"`?make ([a-z][a-z-]*)", readme)) - {"and"}
    assert targets >= {"run", "test", "check", "bench-start"}
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
