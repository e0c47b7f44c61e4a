"""Rules and dashboard of infra/observability: held to what a real server shows, by Prometheus' own programs."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Server, running_server
from scraping import PATIENCE_S, Page, scrape_until

FOLDER = ROOT / "infra" / "observability"
RULES, RULE_TESTS, DASHBOARD = FOLDER / "rules.yaml", FOLDER / "rules.test.yaml", FOLDER / "dashboard.json"
HOTEL = "Where is the hotel?"
KEY = "sk-of-prometheus"
JOB = "ctranslate2-server"
METRIC = re.compile(r"\b(?:ct2|process)_[a-z0-9_]+\b|\bup\b")
RECORDED = re.compile(r"\bjob:[a-z0-9_:]+")


def tool(name: str) -> str:
    """Return the path of one of Prometheus' programs; without it a test is skipped, or fails where CI wants it."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not installed: apt-get install prometheus"
        if os.environ.get("PROMETHEUS") == "required":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return found


def promtool(*arguments: str | Path, text: str | None = None, folder: Path = FOLDER) -> tuple[int, str]:
    """Run promtool and return its exit code and all it said."""
    done = subprocess.run(
        [tool("promtool"), *arguments],
        cwd=folder,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout


def rules() -> list[dict[str, Any]]:
    """Return all rules, in order."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> dict[str, str]:
    """Return every expression of the dashboard and of the rules, by what it is for."""
    found = {str(rule.get("alert") or rule["record"]): str(rule["expr"]) for rule in rules()}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    for variable in dashboard["templating"]["list"]:
        found |= {variable["name"]: variable["query"]} if variable["type"] == "query" else {}
    return found


def unknown(expression: str, page: Page) -> set[str]:
    """Return the names in an expression that neither a server shows, nor Prometheus itself, nor a rule records."""
    recorded = {str(rule["record"]) for rule in rules() if "record" in rule}
    rest = RECORDED.sub("", expression)
    return (set(METRIC.findall(rest)) - page.names - {"up"}) | (set(RECORDED.findall(expression)) - recorded)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has answered a few requests."""
    with running_server(tmp_path_factory.mktemp("asked"), API_KEYS=KEY, METRICS="guarded") as server:
        for fields in ({"target_lang": "fra_Latn"}, {"target_lang": "fra_Latn", "stream": True}, {"target_lang": "qq"}):
            body = {"messages": [{"role": "user", "content": HOTEL}], **fields}
            server.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}"})
        yield server


@pytest.fixture(scope="module")
def page(asked: Server) -> Page:
    """What it shows once all of them are counted."""
    authorization = f"Bearer {KEY}"
    return scrape_until(
        asked, lambda page: page.value("ct2_completions_total", status="400") == 1, authorization=authorization
    )


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", queries())
def test_every_query_names_what_a_server_shows(page: Page, name: str) -> None:
    """A dashboard with a name that nobody exports is empty, and an alert silent."""
    expression = queries()[name]

    assert METRIC.search(expression) or RECORDED.search(expression)
    assert unknown(expression, page) == set()


def test_a_name_that_nobody_shows_is_found(page: Page) -> None:
    """The check sees what it is there for."""
    expression = "rate(ct2_typos_total[5m]) + job:ct2_typos:rate5m + process_typos + ct2_ready"

    assert unknown(expression, page) == {"ct2_typos_total", "job:ct2_typos:rate5m", "process_typos"}


def test_every_figure_of_the_service_is_on_the_dashboard_or_in_a_rule(page: Page) -> None:
    """What nobody looks at need not be counted; all requests and the tokens of batches are for a closer look."""
    used = set(METRIC.findall(" ".join(queries().values())))
    stem = re.compile(r"_(bucket|sum|count)$")
    shown = {stem.sub("", name) for name in page.names if name.startswith("ct2_")}

    assert shown - {stem.sub("", name) for name in used} == {"ct2_requests_total", "ct2_batch_source_tokens"}


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """Panels have ids of their own, a place in 24 columns and the data source that is chosen."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = dashboard["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        columns, rows = (range(place[at], place[at] + place[size]) for at, size in (("x", "w"), ("y", "h")))
        cells = {(x, y) for x in columns for y in rows}
        assert max(columns) < 24
        assert not cells & taken
        taken |= cells
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


# --- promtool ---------------------------------------------------------------------------------------------------------


def test_the_page_follows_prometheus_rules_for_names(page: Page) -> None:
    """Base units, suffixes, help."""
    assert promtool("check", "metrics", text=page.text) == (0, "")


def test_a_name_against_the_rules_is_found() -> None:
    """The check reads its input."""
    text = "# HELP requests Requests.\n# TYPE requests counter\nrequests 1\n"

    code, output = promtool("check", "metrics", text=text)

    assert code != 0
    assert "_total" in output


def test_the_rules_do_what_their_tests_say() -> None:
    """Each alert fires when it should, and not before."""
    assert promtool("check", "rules", RULES)[0] == 0
    code, output = promtool("test", "rules", RULE_TESTS)

    assert code == 0, output


@pytest.mark.parametrize("alert", [str(rule["alert"]) for rule in rules() if "alert" in rule])
def test_every_alert_has_a_test_that_fails_without_it(tmp_path: Path, alert: str) -> None:
    """An alert that could never fire would pass a test that asks nothing of it."""
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    [rule] = [rule for group in document["groups"] for rule in group["rules"] if rule.get("alert") == alert]
    rule["expr"] = f"({rule['expr']}) and vector(0) > 0"
    (tmp_path / RULES.name).write_text(yaml.safe_dump(document), encoding="utf-8")
    shutil.copy(RULE_TESTS, tmp_path)

    code, output = promtool("test", "rules", RULE_TESTS.name, folder=tmp_path)

    assert code != 0
    assert alert in output


# --- a real Prometheus ------------------------------------------------------------------------------------------------


class Prometheus:
    """A running one."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Tell whether it answers."""
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False

    def get(self, path: str, **query: str) -> Any:
        """Return the data of an answer of its API."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
            return json.loads(response.read())["data"]

    def values(self, query: str) -> dict[str, float]:
        """Return the value of each series of an instant query, by its status or nothing."""
        found = self.get("query", query=query)["result"]
        return {series["metric"].get("status", ""): float(series["value"][1]) for series in found}


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def running_prometheus(folder: Path, target: str, **scrape_config: Any) -> Iterator[Prometheus]:
    """Let a real Prometheus scrape ``target`` each second, with the project's rules, until the block ends."""
    job = {"job_name": JOB, "static_configs": [{"targets": [target]}], **scrape_config}
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [job],
    }
    file = folder / "prometheus.yaml"
    file.write_text(json.dumps(configuration), encoding="utf-8")
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    prometheus = Prometheus(port)
    try:
        wait_for(prometheus.ready, lambda: (folder / "prometheus.log").read_text(encoding="utf-8"))
        yield prometheus
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=20)


def wait_for(condition: Callable[[], bool], story: Callable[[], str]) -> None:
    """Return once ``condition`` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, story()
        time.sleep(0.1)


def test_a_real_prometheus_scrapes_a_real_server(tmp_path: Path, asked: Server, page: Page) -> None:
    """With the key that the page is guarded by; the values arrive, and every rule can be evaluated."""
    key = tmp_path / "key"
    key.write_text(KEY, encoding="utf-8")
    address = asked.url.removeprefix("http://")

    with running_prometheus(tmp_path, address, authorization={"credentials_file": str(key)}) as prometheus:
        wait_for(
            lambda: prometheus.values("ct2_completions_total").get("200") == 2,
            lambda: json.dumps(prometheus.get("targets")),
        )
        wait_for(
            lambda: all(
                rule["health"] == "ok" for group in prometheus.get("rules")["groups"] for rule in group["rules"]
            ),
            lambda: json.dumps(prometheus.get("rules")),
        )
        wait_for(lambda: bool(prometheus.values("job:ct2_completions:rate5m")), lambda: "nothing was recorded")
        answered = prometheus.values("ct2_completions_total")
        tokens = prometheus.values("ct2_prompt_tokens_total")
        ready = prometheus.values("ct2_ready")
        alerts = prometheus.get("alerts")["alerts"]

    assert {status: count for status, count in answered.items() if count} == {"200": 2, "400": 1}
    assert tokens == {"": page.value("ct2_prompt_tokens_total")}
    assert ready == {"": 1}
    assert alerts == []


def test_a_prometheus_without_the_key_sees_a_server_that_is_down(tmp_path: Path, asked: Server) -> None:
    """And the alert about absence begins to wait."""
    with running_prometheus(tmp_path, asked.url.removeprefix("http://")) as prometheus:
        wait_for(lambda: prometheus.values("up") == {"": 0}, lambda: json.dumps(prometheus.get("targets")))
        wait_for(
            lambda: [alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"]] == ["CT2Absent"],
            lambda: json.dumps(prometheus.get("rules")),
        )
        [target] = prometheus.get("targets")["activeTargets"]

    assert "401" in target["lastError"]
