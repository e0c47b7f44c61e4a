"""``python -m handler`` and the console script ``ctranslate2-server``: serves on a host, under uvicorn."""

import signal
import sys


def end_when_told() -> None:
    """Let SIGTERM end the process until the server takes signals, and where it raises the second one again.

    An end that is asked for is no failure. The first process of a container ignores a signal that it has not asked for.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


if __name__ == "__main__":
    # The imports below take half a second, in which a container may be stopped.
    end_when_told()

import argparse
import gc
import json
import logging
import os
import shlex
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from handler import __version__
from handler.errors import ManifestError, SettingsError
from handler.settings import ComputeType, Device, Load, LogLevel, Settings, allowed_values
from handler.settings_sources import FLAGS, LoadedSettings, load_settings

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger

    from handler.models import ModelManager

_EXIT_BROKEN = 1
_HANGING_S = 10.0
"""For the threads of a broken engine to end."""
_EXIT_USAGE = 2
_BACKLOG = 2048
"""Connections the kernel holds while the event loop is busy; uvicorn's own default."""
_SWITCH_S = 0.001
"""How long one thread may keep the others from running Python. By default it is five times as long, and the event loop
has to wait for that after every read and write while documents are tokenized."""
_KEEP_ALIVE_S = 150
"""How long a connection without a request is kept: longer than load balancers keep theirs (60 to 130 s),
or they would send a request into one that is just being closed, and answer 502."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = vars(_parser().parse_args(arguments))
    config_file, show_config, example = (options.pop(name) for name in ("config", "show_config", "example"))
    try:
        loaded = load_settings(
            {name: value for name, value in options.items() if value is not None}, config_file=config_file
        )
        if show_config:
            print(*loaded.lines(), sep="\n")
            return 0
        return _serve(loaded, example=example)
    except (SettingsError, ManifestError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ctranslate2-server",
        description="OpenAI-compatible server for NLLB and T5 models on CTranslate2.",
        epilog="Each option is also an environment variable and a key of config.toml; the command line wins over both.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--config", type=Path, metavar="FILE", help="config.toml to read (CONFIG_FILE)")
    parser.add_argument(
        "--show-config", action="store_true", help="print every setting and where it comes from, and exit"
    )
    parser.add_argument("--example", action="store_true", help="print a request to try once the server listens")
    # Values are left as text: the settings check them, with one message wherever they come from.
    choices = {"device": Device, "compute_type": ComputeType, "load": Load, "log_level": LogLevel}
    for name, flag in FLAGS.items():
        words = ", ".join(allowed_values(choices.get(name)))
        default = Settings.model_fields[name].default
        text = f"{words or name.replace('_', ' ')} ({name.upper()}, default {default})"
        parser.add_argument(flag, dest=name, metavar=flag.rpartition("-")[2].upper(), help=text)
    return parser


def _serve(loaded: LoadedSettings, *, example: bool) -> int:
    end_when_told()  # the console script comes by here alone
    try:
        # Neither the Lambda image nor --show-config needs a web server.
        import uvicorn  # noqa: PLC0415
    except ImportError:
        message = "uvicorn is not installed: pip install 'ctranslate2-server[host]'"
        raise SettingsError(message) from None
    # The imports of the whole server, which --help and --show-config do without.
    from handler.composition import compose  # noqa: PLC0415
    from handler.host_server import HostServer  # noqa: PLC0415
    from handler.http_protocol import EnvelopeProtocol  # noqa: PLC0415
    from handler.telemetry import logger  # noqa: PLC0415

    settings = loaded.settings
    # Before the models are loaded: a port that is taken should be heard of at once.
    with _listen(settings.server_host, settings.server_port) as listening:
        app = compose(loaded)
        config = uvicorn.Config(
            app,
            http=EnvelopeProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        _log_with(logger)
        logger.info("listening", extra=dict(zip(("host", "port"), listening.getsockname(), strict=False)))
        if example:
            _print_example(listening, app.state.models, with_key=bool(settings.api_keys))
        server = HostServer(config, drain=app.state.drain, engines=app.state.models)
        _keep_loop_free()
        # uvicorn raises the signals it has taken once more.
        with suppress(KeyboardInterrupt, SystemExit):
            server.run(sockets=[listening])
    return _end_broken() if server.failed else 0


def _keep_loop_free() -> None:
    """Let threads and garbage keep the event loop waiting as little as they can: docs/decisions/0012-batching.md."""
    sys.setswitchinterval(_SWITCH_S)
    # Nearly all of what there is by now stays. To look through it for garbage stopped every request for some 60 ms.
    gc.freeze()


def _end_broken() -> int:
    """Return the exit code of a process whose engine is broken, and see to it that it ends."""
    # Python waits for its threads, and one of a device that hangs does not come back.
    end = Timer(_HANGING_S, os._exit, (_EXIT_BROKEN,))
    end.daemon = True
    end.start()
    return _EXIT_BROKEN


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        SettingsError: The address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # "::" is every address, those of IPv4 included: a health check on 127.0.0.1 is to find the server.
        both = host == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        # create_server adds to some reasons what the message says already.
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        message = f"cannot listen on {host}:{port}: {reason}"
        raise SettingsError(message) from None
    # Connections inherit it. asyncio sets it on those of its own sockets alone, and an answer is two writes: the second
    # would wait 40 ms for the client's delayed acknowledgement of the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _log_with(logger: "Logger") -> None:
    """Let uvicorn's own warnings and errors come in the structure of all other lines."""
    uvicorn_logger = logging.getLogger("uvicorn")
    uvicorn_logger.handlers = [logger.registered_handler]
    uvicorn_logger.setLevel(logging.WARNING)
    uvicorn_logger.propagate = False


def _print_example(listening: socket.socket, models: "ModelManager", *, with_key: bool) -> None:
    """Print a request that works when it is pasted into a shell of this machine."""
    from handler.examples import example_request  # noqa: PLC0415 - as above

    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not to listen on: to ask
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    body = example_request(models.default)
    command = ["curl", f"{url}/v1/chat/completions", "-H", "content-type: application/json", "-d", json.dumps(body)]
    key = ' -H "Authorization: Bearer $API_KEY"' if with_key else ""
    names = ", ".join(f"{spec.id} (demo)" if spec.demo else spec.id for spec in models)
    # In one piece: the log of a model that is being loaded goes to the same terminal.
    sys.stderr.write(f"Serving {names} on {url}\nTry:\n{shlex.join(command)}{key}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
