"""``python -m handler`` and the console script ``ctranslate2-server``: serves on a host, under uvicorn."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handler import __version__
from handler.errors import ManifestError, SettingsError
from handler.settings import ComputeType, Device, Load, LogLevel, Settings, allowed_values
from handler.settings_sources import FLAGS, LoadedSettings, load_settings

_EXIT_USAGE = 2

_EXAMPLE = (
    "curl http://{address}/v1/chat/completions -H 'content-type: application/json' -d "
    '\'{{"model": "{model}", "target_lang": "fra_Latn", '
    '"messages": [{{"role": "user", "content": "Where is the train station?"}}]}}\''
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = vars(_parser().parse_args(arguments))
    config_file, show_config, example = (options.pop(name) for name in ("config", "show_config", "example"))
    try:
        loaded = load_settings({name: value for name, value in options.items() if value is not None}, config_file=config_file)
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
    parser.add_argument("--show-config", action="store_true", help="print every setting and where it comes from, and exit")
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
    try:
        # Neither the Lambda image nor --show-config needs a web server.
        import uvicorn  # noqa: PLC0415
    except ImportError:
        message = "uvicorn is not installed: pip install 'ctranslate2-server[host]'"
        raise SettingsError(message) from None
    from handler.composition import compose  # noqa: PLC0415 - the imports of the whole server

    settings = loaded.settings
    app = compose(settings)

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:  # noqa: ANN401 - uvicorn's own signature
            await super().startup(sockets)
            if example and self.started:
                host, port = self.servers[0].sockets[0].getsockname()[:2]
                address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                models = ", ".join(spec.id for spec in app.state.models)
                print(f"Serving {models} on http://{address}\nTry:\n", file=sys.stderr)
                print(_EXAMPLE.format(address=address, model=app.state.models.default.id), file=sys.stderr, flush=True)

    config = uvicorn.Config(
        app, host=settings.server_host, port=settings.server_port, log_config=None, access_log=False, lifespan="off"
    )
    server = Server(config)
    asyncio.run(server.serve())
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
