"""Settings: the layers, their order, where each value came from, and one line for every mistake."""

import re
from pathlib import Path

import pytest
from conftest import ROOT

from handler.catalog import build_catalog
from handler.errors import SettingsError
from handler.settings import DEMO_MODELS, Settings
from handler.settings_sources import LoadedSettings, load_settings


def _load(
    tmp_path: Path,
    toml: str = "",
    environ: dict[str, str] | None = None,
    command_line: dict[str, object] | None = None,
) -> LoadedSettings:
    path = tmp_path / "config.toml"
    path.write_text(toml, encoding="utf-8")
    return load_settings(command_line, environ={"CONFIG_FILE": str(path)} | (environ or {}))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the checkout, where a developer may keep a config.toml."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def test_defaults_serve_the_embedded_models() -> None:
    """Without any configuration there is something to serve."""
    loaded = load_settings(environ={})

    assert loaded.settings.model_path == DEMO_MODELS
    assert loaded.origins == {}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        pytest.param({}, (8000, "default"), id="default"),
        pytest.param({"toml": "server_port = 1"}, (1, "config.toml"), id="file over default"),
        pytest.param(
            {"toml": "server_port = 1", "environ": {"SERVER_PORT": "2"}}, (2, "environment"), id="env over file"
        ),
        pytest.param(
            {"toml": "server_port = 1", "environ": {"SERVER_PORT": "2"}, "command_line": {"server_port": "3"}},
            (3, "command line"),
            id="command line over all",
        ),
    ],
)
def test_a_later_layer_wins(tmp_path: Path, layers: dict[str, object], expected: tuple[int, str]) -> None:
    """Each layer beats the ones before it, and the origin names the winner."""
    loaded = _load(tmp_path, **layers)  # type: ignore[arg-type]

    origin = loaded.origins.get(("server_port",), "default")
    assert (loaded.settings.server_port, Path(origin).name) == expected


def test_layers_merge_field_by_field(tmp_path: Path) -> None:
    """A table of one layer adds to the same table of another."""
    toml = '[models.small]\npath = "/m"\nbeam_size = 2\ndevice = "cpu"\n[aliases]\na = "small"'
    environ = {"MODELS__small__BEAM_SIZE": "3", "ALIASES": '{"b": "small"}'}

    loaded = _load(tmp_path, toml, environ)

    small = loaded.settings.models["small"]
    assert (small.beam_size, small.device, str(small.path)) == (3, "cpu", "/m")
    assert loaded.settings.aliases == {"a": "small", "b": "small"}
    assert loaded.origins["models", "small", "beam_size"] == "environment"
    assert Path(loaded.origins["models", "small", "device"]).name == "config.toml"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0,1", (0, 1)), ("[0, 1]", (0, 1)), ("1", (1,))],
    ids=["commas", "json", "single"],
)
def test_lists_may_be_given_with_commas_or_as_json(value: str, expected: tuple[int, ...]) -> None:
    """An environment variable holds a list in either form."""
    assert load_settings(environ={"DEVICE_INDICES": value}).settings.device_indices == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://App.example.com, http://localhost:3000", ("https://app.example.com", "http://localhost:3000")),
        ('["*"]', ("*",)),
        ("null,chrome-extension://abc", ("null", "chrome-extension://abc")),
        ("", ()),
    ],
    ids=["commas", "json", "others", "empty"],
)
def test_origins_are_spelled_as_browsers_do(value: str, expected: tuple[str, ...]) -> None:
    """Case does not tell hosts apart, and a browser sends lower case."""
    assert load_settings(environ={"CORS_ORIGINS": value}).settings.cors_origins == expected


def test_the_names_people_know_work(tmp_path: Path) -> None:
    """Variables and keys that configurations of such servers use."""
    environ = {"MODEL_PATH": "/m", "SERVER_HOST": "0.0.0.0", "SERVER_PORT": "9", "LOG_LEVEL": "debug"}  # noqa: S104
    toml = """
        default_model = "x"
        [models.x]
        path = "p"
        model_type = "nllb"
        tokenizer_path = "t"
        target_lang = "fra_Latn"
        device = "cpu"
        device_indices = [0]
        beam_size = 5
        repetition_penalty = 1.1
        no_repeat_ngram_size = 3
        [aliases]
        y = "x"
    """

    settings = _load(tmp_path, toml, environ).settings

    assert (settings.server_host, settings.server_port, settings.log_level) == ("0.0.0.0", 9, "DEBUG")  # noqa: S104
    assert settings.models["x"].no_repeat_ngram_size == 3


def test_paths_in_a_file_are_relative_to_the_file(tmp_path: Path) -> None:
    """The server finds its models wherever it is started."""
    toml = 'model_path = "a"\nmodel_cache = "d"\n[models.x]\npath = "b"\ntokenizer_path = "/c"'
    settings = _load(tmp_path, toml).settings

    assert settings.model_path == tmp_path / "a"
    assert settings.model_cache == tmp_path / "d"
    assert settings.models["x"].path == tmp_path / "b"
    assert settings.models["x"].tokenizer_path == Path("/c")


def test_urls_of_object_storage_stay_as_they_are(tmp_path: Path) -> None:
    """In a file they are not relative to it, and no slash is lost."""
    toml = 'model_path = "s3://bucket/all/"\n[models.x]\npath = "s3://bucket/x"'
    in_file = _load(tmp_path, toml)
    in_variable = load_settings(environ={"MODEL_PATH": "s3://bucket/all/", "MODELS__x__PATH": "s3://bucket/x"})

    for loaded in (in_file, in_variable):
        assert loaded.settings.model_path == "s3://bucket/all/"
        assert loaded.settings.models["x"].path == "s3://bucket/x"
        assert any(line.startswith('model_path = "s3://bucket/all/"  # ') for line in loaded.lines())


def test_the_cache_is_where_the_system_keeps_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG's base directory specification; a variable of ours wins."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")

    assert load_settings(environ={}).settings.model_cache == Path("/x/ctranslate2-server")
    assert load_settings(environ={"MODEL_CACHE": "/y"}).settings.model_cache == Path("/y")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/me")
    assert load_settings(environ={}).settings.model_cache == Path("/home/me/.cache/ctranslate2-server")


def test_config_toml_in_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the usual name needs no naming."""
    (tmp_path / "config.toml").write_text("beam_size = 7", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert load_settings(environ={}).settings.beam_size == 7


def test_show_config_masks_secrets_and_names_origins() -> None:
    """What is printed can be pasted into a bug report, and back into config.toml."""
    loaded = load_settings({"server_port": "9"}, environ={"API_KEYS": "hunter2", "MODELS__a.b__PATH": 'x"y\\z'})

    lines = list(loaded.lines())

    assert "server_port = 9  # command line" in lines
    assert 'api_keys = ["**********"]  # environment' in lines
    assert 'models."a.b".path = "x\\"y\\\\z"  # environment' in lines
    assert "log_texts = false  # default" in lines
    assert "# default_model is unset" in lines
    assert not any("hunter2" in line for line in lines)


@pytest.mark.parametrize(
    ("toml", "environ", "command_line", "parts"),
    [
        pytest.param(
            "beem_size = 3", {}, {}, ["config.toml: beem_size", "unknown", "'beam_size'", "allowed"], id="unknown key"
        ),
        pytest.param(
            '[models.x]\npath = "m"\nbeem = 1',
            {},
            {},
            ["config.toml: models.x.beem", "allowed", "tokenizer_path"],
            id="nested key",
        ),
        pytest.param(
            'model_path = "https://host/m"', {}, {}, ["'https://host/m'", "neither a folder nor s3://"], id="other URL"
        ),
        pytest.param(
            "model_path = 3", {}, {}, ["model_path: '3'", "neither a folder nor s3://bucket/prefix"], id="no place"
        ),
        pytest.param("x = [", {}, {}, ["config.toml", "TOML"], id="broken file"),
        pytest.param('server_port = "abc"', {}, {}, ["config.toml: server_port", "'abc'", "integer"], id="wrong type"),
        pytest.param("server_port = 65536", {}, {}, ["server_port", "65536", "65535"], id="above range"),
        pytest.param("beam_size = 0", {}, {}, ["beam_size", "0"], id="below range"),
        pytest.param(
            '[models.x]\npath = "m"\nload = "never"', {}, {}, ["models.x.load", "startup, lazy"], id="bad word"
        ),
        pytest.param("models = 3", {}, {}, ["models", "3"], id="not a table"),
        pytest.param(
            "", {"DEVICE": "tpu"}, {}, ["environment variable DEVICE", "'tpu'", "cpu, cuda, auto"], id="env word"
        ),
        pytest.param(
            "",
            {"ALIASES": "{x"},
            {},
            ["environment variable ALIASES", "JSON", '{"gpt-4o-mini": "nllb-demo"}'],
            id="env json",
        ),
        pytest.param("", {"MODELS": "x"}, {}, ["environment variable MODELS:", '{"beam_size": 5}'], id="env models"),
        pytest.param(
            "",
            {"MODELS": '{"x": {"beem": 1}}'},
            {},
            ["environment variable MODELS: x.beem: unknown key"],
            id="env key in json",
        ),
        pytest.param(
            "",
            {"MODELS__A__PATH": "/m", "MODELS__a-b__BEAM_SIZE": "0"},
            {},
            ["environment variable MODELS__a-b__BEAM_SIZE: '0'"],
            id="env spelling",
        ),
        pytest.param("", {"DEVICE_INDICES": "0,x"}, {}, ["environment variable DEVICE_INDICES: 'x'"], id="env item"),
        pytest.param(
            "", {"DEVICE_INDICES": "[x"}, {}, ["environment variable DEVICE_INDICES", "'[x'", "JSON"], id="env list"
        ),
        pytest.param(
            "", {"MODELS__A__BOGUS": "1"}, {}, ["environment variable MODELS__A__BOGUS", "unknown"], id="env key"
        ),
        pytest.param("", {}, {"server_port": "x"}, ["--port", "'x'"], id="flag"),
        pytest.param(
            "",
            {"CORS_ORIGINS": "https://a.example/app"},
            {},
            ["environment variable CORS_ORIGINS", "'https://a.example/app'", "no path"],
            id="page",
        ),
        pytest.param('cors_origins = ["a.example"]', {}, {}, ["cors_origins", "a.example", "scheme"], id="host"),
        pytest.param('api_keys = "a,b"\nlog_level = "loud"', {}, {}, ["log_level", "'LOUD'", "DEBUG"], id="log level"),
    ],
)
def test_a_mistake_is_one_line_that_names_place_value_and_choice(
    tmp_path: Path,
    toml: str,
    environ: dict[str, str],
    command_line: dict[str, object],
    parts: list[str],
) -> None:
    """Whoever made the mistake can mend it from the message alone."""
    with pytest.raises(SettingsError) as caught:
        _load(tmp_path, toml, environ, command_line)

    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("toml", "environ", "command_line", "line"),
    [
        ('aliases.gpt = "no"', {}, {}, "{file}: aliases.gpt: there is no model 'no'; models: nllb-demo, t5-demo"),
        ("", {"ALIASES__gpt": "no"}, {}, "environment variable ALIASES__gpt: there is no model 'no'"),
        ("", {"ALIASES": '{"a.b": "no"}'}, {}, "environment variable ALIASES: a.b: there is no model 'no'"),
        ('default_model = "no"', {}, {}, "{file}: default_model: there is no model 'no'"),
        ('default_model = "no"', {"DEFAULT_MODEL": "nor"}, {}, "environment variable DEFAULT_MODEL: there is no"),
        ("", {"DEFAULT_MODEL": "no"}, {"default_model": "nor"}, "--default-model: there is no model 'nor'"),
        ('model_path = "no"', {}, {}, "{file}: model_path: '"),
        ("models.x.beam_size = 2", {}, {}, "{file}: models.x.path: a value is required"),
        ('models.x.path = "."', {}, {}, "{file}: models.x.path: "),
        ("", {"MODELS__X__BEAM_SIZE": "2"}, {}, "environment variable MODELS__X__PATH: a value is required"),
        ('target_lang = "no"', {}, {}, "{file}: target_lang: model 'nllb-demo': The language 'no"),
        ('target_lang = "fr"', {"TARGET_LANG": "xx"}, {}, "environment variable TARGET_LANG: model 'nllb-demo': The"),
        ("", {"MODELS__NLLB_DEMO__TARGET_LANG": "xx"}, {}, "environment variable MODELS__NLLB_DEMO__TARGET_LANG: The"),
    ],
    ids=[
        "alias in the file",
        "alias in a variable",
        "alias in json",
        "default in the file",
        "default in a variable",
        "default by flag",
        "no folder",
        "not baked",
        "no model",
        "variable for what is not baked",
        "language of all models",
        "language of all models in a variable",
        "language of one model",
    ],
)
def test_a_value_that_the_models_do_not_bear_out_is_blamed_on_its_origin(
    tmp_path: Path, toml: str, environ: dict[str, str], command_line: dict[str, object], line: str
) -> None:
    """What is found out only when the folders are read names file, variable or flag like any other mistake."""
    loaded = _load(tmp_path, toml, environ, command_line)

    with pytest.raises(SettingsError) as caught, loaded.blaming_origins():
        build_catalog(loaded.settings)

    message = str(caught.value)
    assert message.startswith(line.format(file=tmp_path / "config.toml")), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SettingsError("narrow", key=("models", "x", "beam_size")), "models.x.beam_size: narrow"),
        (SettingsError("no such package"), "no such package"),
    ],
    ids=["default", "no setting"],
)
def test_what_nobody_set_is_blamed_on_nobody(error: SettingsError, message: str) -> None:
    """A default has its key alone, and some errors have no setting."""
    with pytest.raises(SettingsError) as caught, load_settings(environ={}).blaming_origins():
        raise error

    assert str(caught.value) == message


def test_a_models_name_keeps_its_spelling_in_a_variable(tmp_path: Path) -> None:
    """The file's spelling where the file knows the model, else the variable's."""
    toml = '[models."NLLB-600M"]\npath = "/m"\n[aliases]\nBest = "NLLB-600M"'
    environ = {"MODELS__nllb-600m__beam_size": "3", "MODELS__Other-1.3B__PATH": "/o", "ALIASES__BEST": "Other-1.3B"}

    settings = _load(tmp_path, toml, environ).settings

    assert settings.models["NLLB-600M"].beam_size == 3
    assert str(settings.models["Other-1.3B"].path) == "/o"
    assert settings.aliases == {"Best": "Other-1.3B"}


@pytest.mark.parametrize("name", ["nllb-1.3B", "NLLB_1_3B", "nllb_1.3b"])
def test_a_variable_may_mean_a_name_that_it_cannot_spell(tmp_path: Path, name: str) -> None:
    """A shell and Lambda take letters, digits and underscores in a variable's name."""
    toml = '[models."nllb-1.3B"]\npath = "/m"\n[aliases]\n"gpt-4.1" = "nllb-1.3B"'

    settings = _load(tmp_path, toml, {f"MODELS__{name}__BEAM_SIZE": "5", "ALIASES__GPT_4_1": "other"}).settings

    assert settings.models.keys() == {"nllb-1.3B"}
    assert (settings.models["nllb-1.3B"].beam_size, str(settings.models["nllb-1.3B"].path)) == (5, "/m")
    assert settings.aliases == {"gpt-4.1": "other"}


def test_a_variable_that_may_mean_two_models_is_refused(tmp_path: Path) -> None:
    """The exact name means one of them all the same."""
    toml = '[models.a-b]\npath = "/1"\n[models."a.b"]\npath = "/2"'

    assert _load(tmp_path, toml, {"MODELS__a.b__BEAM_SIZE": "5"}).settings.models["a.b"].beam_size == 5
    with pytest.raises(SettingsError, match=r"environment variable MODELS__A_B__BEAM_SIZE: .*'a-b' or 'a\.b'"):
        _load(tmp_path, toml, {"MODELS__A_B__BEAM_SIZE": "5"})


@pytest.mark.parametrize(
    ("toml", "environ"),
    [
        ("", {"API_KEYS": ""}),
        ("", {"API_KEYS": ","}),
        ("", {"API_KEYS": '["a", " "]'}),
        ('api_keys = [""]', {}),
        ('api_keys = ["a", ""]', {}),
    ],
    ids=["empty", "comma", "json", "blank", "one of two"],
)
def test_an_empty_key_stops_the_start(tmp_path: Path, toml: str, environ: dict[str, str]) -> None:
    """An unset variable in a template must not open the door."""
    with pytest.raises(SettingsError, match=r"api_keys|API_KEYS"):
        _load(tmp_path, toml, environ)


def test_a_template_without_keys_works_with_sam(tmp_path: Path) -> None:
    """`sam local` passes on as an empty variable what the template leaves out; deployed it is left out."""
    assert _load(tmp_path, "", {"API_KEYS": "", "AWS_SAM_LOCAL": "true"}).settings.api_keys == ()


def test_no_keys_may_be_said(tmp_path: Path) -> None:
    """An empty list is a decision; an empty variable is none, and leaves the file's keys where they are."""
    assert _load(tmp_path, "api_keys = []", {"API_KEYS": ""}).settings.api_keys == ()
    assert len(_load(tmp_path, 'api_keys = ["a"]', {"API_KEYS": ""}).settings.api_keys) == 1


@pytest.mark.parametrize(("name", "reason"), [("x" * 300, "too long"), (".", "directory")], ids=["long", "folder"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    """Whatever the system says of it."""
    with pytest.raises(SettingsError, match=reason) as caught:
        load_settings(config_file=tmp_path / name, environ={})

    assert "\n" not in str(caught.value)


def test_show_config_cannot_be_forged() -> None:
    """A line break in a value does not make a second setting."""
    lines = list(load_settings(environ={"DEFAULT_MODEL": "x\nserver_port = 1"}).lines())

    assert 'default_model = "x\\nserver_port = 1"  # environment' in lines


def test_a_key_in_the_wrong_place_is_never_shown(tmp_path: Path) -> None:
    """An error about API keys does not print them."""
    with pytest.raises(SettingsError) as caught:
        _load(tmp_path, 'api_keys = ["ok", 5]\n')

    _, place, reason = str(caught.value).partition("api_keys")
    assert place
    assert "5" not in reason


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """A typing mistake in the file's name does not silently give the defaults."""
    with pytest.raises(SettingsError, match=r"nowhere\.toml: there is no such config file"):
        load_settings(config_file=tmp_path / "nowhere.toml", environ={})


def test_every_flag_is_a_setting() -> None:
    """The command line offers nothing that config.toml does not know."""
    from handler.settings_sources import FLAGS  # noqa: PLC0415 - beside its one use

    assert FLAGS.keys() <= Settings.model_fields.keys()


def test_the_example_file_is_valid_and_its_comments_are_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts from it starts from what the server does anyway."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    example = (ROOT / "infra" / "config.example.toml").read_text(encoding="utf-8")
    common = example.partition("[models.nllb]")[0]

    assert _load(tmp_path, example).settings.models.keys() == {"nllb", "flan"}
    uncommented = "\n".join(line.removeprefix("# ") for line in common.splitlines() if re.match(r"# [a-z_]+ = ", line))
    named = set(re.findall(r"^(?:# )?([a-z_]+) = ", common, flags=re.MULTILINE))
    assert _load(tmp_path, uncommented).settings == Settings()
    assert named == Settings.model_fields.keys() - {"models", "aliases", "model_path"}


@pytest.mark.parametrize("namespace", ["", "a", "Translate/Prod_1.2-x#:y", "x" * 255])
def test_a_namespace_is_what_cloudwatch_takes(tmp_path: Path, namespace: str) -> None:
    """Empty is none."""
    assert _load(tmp_path, f'metrics_namespace = "{namespace}"').settings.metrics_namespace == namespace


@pytest.mark.parametrize(
    "namespace", [":a", "a b", "ä", "AWS/Lambda", "x" * 256, "a\\n"], ids="colon blank letter aws long line".split()
)
def test_another_namespace_stops_the_start(tmp_path: Path, namespace: str) -> None:
    """CloudWatch would drop every figure and say nothing."""
    with pytest.raises(SettingsError, match=r"metrics_namespace: .*at most 255 of") as caught:
        _load(tmp_path, f'metrics_namespace = "{namespace}"')

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["metrics", "tracing"])
def test_words_that_are_allowed_are_told(tmp_path: Path, name: str) -> None:
    """A typing mistake does not open or close anything."""
    with pytest.raises(SettingsError, match=f"{name}: 'on': allowed: (open, guarded, off|off, otlp)$"):
        _load(tmp_path, f'{name} = "on"')
