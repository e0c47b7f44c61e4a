"""Reads the layers that make the settings, merges them and remembers where each value came from.

>>> loaded = load_settings({"server_port": 9000}, environ={})
>>> loaded.settings.server_port, loaded.origins["server_port",]
(9000, 'command line')
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource
from pydantic_settings.exceptions import SettingsError as EnvironmentValueError

from handler.errors import SettingsError, shorten
from handler.settings import KeyPath, ModelSettings, Settings, allowed_values, is_url, meant_name

COMMAND_LINE = "command line"
ENVIRONMENT = "environment"
DEFAULT = "default"
CONFIG_FILE_VARIABLE = "CONFIG_FILE"
DEFAULT_CONFIG_FILE = "config.toml"

FLAGS = {
    "server_host": "--host",
    "server_port": "--port",
    "model_path": "--model-path",
    "default_model": "--default-model",
    "device": "--device",
    "compute_type": "--compute-type",
    "inter_threads": "--inter-threads",
    "intra_threads": "--intra-threads",
    "load": "--load",
    "log_level": "--log-level",
}
"""Settings with a command-line flag; every setting has an environment variable and a key in config.toml."""

_SAM_LOCAL = "AWS_SAM_LOCAL"
"""What `sam local` sets for its containers."""

_TABLES = {"models": '{"nllb-demo": {"beam_size": 5}}', "aliases": '{"gpt-4o-mini": "nllb-demo"}'}
"""Settings whose keys are names: ``MODELS__name__BEAM_SIZE``, ``ALIASES__name``; and an example of each in JSON."""

_PATH_KEYS = frozenset({"model_cache", "model_path", "path", "tokenizer_path"})


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings and the origin of each value that is not a default, by path (``("models", "nllb", "beam_size")``)."""

    settings: Settings
    origins: Mapping[KeyPath, str]
    variables: Mapping[KeyPath, str] = field(default_factory=dict)
    """Names of the environment variables that set one value of a table."""

    @contextmanager
    def blaming_origins(self) -> Iterator[None]:
        """Name settings that prove wrong as the operator knows them: by the file, variable or flag that set them."""
        try:
            yield
        except SettingsError as error:
            if not error.key:
                raise
            raise self._blamed(error.key, error.reason) from None

    def _blamed(self, key: KeyPath, reason: str) -> SettingsError:
        of_model = ""
        if key[0] == "models":
            named = {path[1] for path in self.origins if path[0] == "models" and len(path) > 1}
            key = ("models", meant_name(key[:2], named) or key[1], *key[2:])
        if key[0] == "models" and key not in self.origins and key[2:] in self.origins:
            of_model = f"model {shorten(key[1])}: "
            key = key[2:]
        return SettingsError(f"{_spelled(key, _origin(key, self.origins), self.variables)}: {of_model}{reason}")

    def lines(self) -> Iterator[str]:
        """Yield the settings as TOML, the origin of each behind it as a comment, secrets masked."""
        for path, value in _flatten(self.settings.model_dump(exclude_none=True)):
            yield f"{'.'.join(map(_toml_key, path))} = {_toml_value(value)}  # {self.origins.get(path, DEFAULT)}"
        unset = (name for name, value in self.settings if value is None)
        yield from (f"# {name} is unset" for name in unset)


@dataclass(slots=True)
class _Layer:
    origin: str
    values: dict[str, Any] = field(default_factory=dict)
    variables: dict[KeyPath, str] = field(default_factory=dict)


def load_settings(
    command_line: Mapping[str, Any] | None = None,
    *,
    config_file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Merge defaults < config.toml < environment < ``command_line``, deep, and validate the result.

    Args:
        command_line: Settings given as flags, by field name.
        config_file: Names the file; else ``CONFIG_FILE`` does, else ``config.toml`` in the working directory is read
            where it exists.
        environ: Stands in for ``os.environ``.

    Raises:
        SettingsError: A file is missing or malformed, a key unknown or a value not allowed; the message is one line.
    """
    environ = os.environ if environ is None else environ
    file = _file_layer(config_file or environ.get(CONFIG_FILE_VARIABLE))
    environment = _environment_layer(environ, file.values)
    layers = [file, environment, _Layer(COMMAND_LINE, dict(command_line or {}))]

    merged: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    for layer in layers:
        _merge(merged, layer.values)
        origins.update((path, layer.origin) for path, _ in _flatten(layer.values))
    try:
        return LoadedSettings(Settings(**merged), origins, environment.variables)
    except ValidationError as error:
        raise SettingsError(_one_line(error, origins, environment.variables)) from None


def _file_layer(named: str | Path | None) -> _Layer:
    path = Path(named or DEFAULT_CONFIG_FILE)
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if named:
            message = f"{path}: there is no such config file"
            raise SettingsError(message) from None
        return _Layer(str(path))
    except UnicodeDecodeError as error:
        message = f"{path}: not readable as TOML: {_first_line(error)}"
        raise SettingsError(message) from None
    except OSError as error:
        message = f"{shorten(str(path))}: the config file cannot be read: {error.strerror}"
        raise SettingsError(message) from None
    import tomllib  # noqa: PLC0415 - 7 ms, for those who have a file; a Lambda function seldom does

    try:
        values = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        message = f"{path}: not readable as TOML: {_first_line(error)}"
        raise SettingsError(message) from None
    _anchor_paths(values, path.parent)
    return _Layer(str(path), values)


def _anchor_paths(values: dict[str, Any], folder: Path) -> None:
    """Read relative paths as relative to the file that holds them, wherever the server is started."""
    for key, value in values.items():
        if isinstance(value, dict):
            _anchor_paths(value, folder)
        elif key in _PATH_KEYS and isinstance(value, str) and not is_url(value):
            values[key] = str(folder / Path(value).expanduser())


def _environment_layer(environ: Mapping[str, str], known: Mapping[str, Any]) -> _Layer:
    """Read the variables that are settings.

    Args:
        environ: The environment; an empty variable is no variable, but for that of the keys where the file has none: it
            was meant to guard.
        known: What the config file says; its models and aliases keep their spelling, which a variable's name may lose.
    """
    values: dict[str, Any] = {}
    variables: dict[KeyPath, str] = {}
    # SAM passes on as empty what a template leaves out.
    kept = {"api_keys"} - known.keys() if _SAM_LOCAL not in environ else set()
    plain = {name: value for name, value in environ.items() if value or name.lower() in kept}
    for name, value in environ.items():
        table, _, path = name.partition("__")
        table = table.lower()
        if path and table in _TABLES:
            plain.pop(name, None)
            key, _, setting = path.rpartition("__") if table == "models" else (path, "", "")
            spelled = _known_name(name, (table, key), known.get(table))
            if value:
                _merge(values, {table: {spelled: {setting.lower(): value} if setting else value}})
                variables[(table, spelled, setting.lower()) if setting else (table, spelled)] = name
    source = EnvSettingsSource(Settings)
    # The source reads os.environ when it is built; the mapping given here is what counts.
    source.env_vars = {name.lower(): value for name, value in plain.items()}
    try:
        whole = source()
    except EnvironmentValueError as error:
        table = next(table for table in _TABLES if f'"{table}"' in str(error))
        message = f"environment variable {table.upper()}: not valid JSON; an example: {_TABLES[table]}"
        raise SettingsError(message) from None
    _merge(whole, values)
    return _Layer(ENVIRONMENT, whole, variables)


def _known_name(variable: str, key: KeyPath, known: object) -> str:
    """Return the name in the config file that a variable's name means, else the name as the variable spells it."""
    try:
        return (meant_name(key, known) if isinstance(known, dict) else None) or key[-1]
    except SettingsError as error:
        message = f"environment variable {variable}: {error.reason}"
        raise SettingsError(message) from None


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _flatten(values: Mapping[str, Any], parents: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in values.items():
        path = (*parents, str(key))
        if isinstance(value, Mapping):
            yield from _flatten(value, path)
        else:
            yield path, value


def _one_line(error: ValidationError, origins: Mapping[KeyPath, str], variables: Mapping[KeyPath, str]) -> str:
    errors = error.errors(include_url=False)
    # A misspelt key often leaves a required one missing as well: the misspelling is the cause.
    first = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    path = tuple(str(part) for part in first["loc"] if part != "[key]")
    spelled = _spelled(path, _origin(path, origins), variables)
    setting = _field(path)
    if first["type"] == "extra_forbidden":
        allowed = sorted((ModelSettings if path[0] == "models" else Settings).model_fields)
        import difflib  # noqa: PLC0415 - for a mistake alone

        close = difflib.get_close_matches(path[-1], allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"{spelled}: unknown key; {hint}allowed: {', '.join(allowed)}"
    if first["type"] == "missing":
        return f"{spelled}: a value is required"
    words = allowed_values(setting.annotation) if setting else ()
    reason = f"allowed: {', '.join(words)}" if words else _reason(first["msg"])
    shown = "" if "api_keys" in path else f"{shorten(str(first['input']))}: "
    return f"{spelled}: {shown}{reason}"


def _reason(message: str) -> str:
    """Return pydantic's message without the name it gives to any error of a validator, as part of a sentence."""
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _origin(path: KeyPath, origins: Mapping[KeyPath, str]) -> str:
    """Return the origin of the value at ``path``, else of what stands above, below or beside it."""
    for length in range(len(path), 0, -1):
        for known, origin in origins.items():
            if known[:length] == path[:length]:
                return origin
    return DEFAULT


def _spelled(path: KeyPath, origin: str, variables: Mapping[KeyPath, str]) -> str:
    """Name a setting the way its origin spells it."""
    if origin == ENVIRONMENT:
        return f"environment variable {_variable(path, variables)}"
    if origin == COMMAND_LINE:
        return FLAGS.get(path[0], path[0])
    return ".".join(path) if origin == DEFAULT else f"{origin}: {'.'.join(path)}"


def _variable(path: KeyPath, variables: Mapping[KeyPath, str]) -> str:
    """Return the variable that set what is at ``path`` or around it, or would set what is missing there."""
    for known, variable in variables.items():
        if known == path[: len(known)] or path == known[: len(path)]:
            return variable
    for known, variable in variables.items():
        if path[0] == "models" and known[:2] == path[:2]:
            return f"{variable.rpartition('__')[0]}__{path[-1].upper()}"
    name, *keys = path
    return f"{name.upper()}: {'.'.join(keys)}" if keys and name in _TABLES else name.upper()


def _field(path: KeyPath) -> FieldInfo | None:
    if path[0] == "models" and len(path) == 3:  # noqa: PLR2004 - models, NAME, key
        return ModelSettings.model_fields.get(path[2])
    return Settings.model_fields.get(path[0])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _toml_key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else json.dumps(name, ensure_ascii=False)


def _toml_value(value: Any) -> str:  # noqa: ANN401 - any setting
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case tuple() | list():
            return f"[{', '.join(map(_toml_value, value))}]"
        case SecretStr():
            return '"**********"'
        case _:
            # A JSON string is a TOML basic string.
            return json.dumps(str(value), ensure_ascii=False)
