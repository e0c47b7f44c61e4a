"""Spans over OpenTelemetry's protocol, and the trace id in the log with and without them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, Server, run_python, running_server
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from test_health import wait_until
from test_observability import free_port
from test_request_ids import log_line

CHAT = "/v1/chat/completions"
HOTEL = "Where is the quixotic hotel?"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
BODY = {"messages": [{"role": "user", "content": HOTEL}], "target_lang": "fra_Latn"}


@dataclass(slots=True)
class Collector:
    """What a collector on the loopback got."""

    url: str
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        """All spans so far, those of probes left out."""
        found = [
            span
            for request in self.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]
        return [span for span in found if "/health" not in span.name]


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Take spans until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.paths.append(self.path)
            collector.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as receiver:
        collector = Collector(f"http://127.0.0.1:{receiver.server_port}")
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            receiver.shutdown()
            thread.join()


@contextmanager
def traced_server(folder: Path, collector: Collector, **variables: str) -> Iterator[Server]:
    """Run a server that sends its spans at once, not compressed."""
    settings = {"TRACING": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with running_server(folder, ready=True, **settings | variables) as server:
        yield server


def attributes(span: Span) -> dict[str, Any]:
    """Return what is told about a request."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in span.attributes}


def test_a_request_is_one_span_of_the_clients_trace(tmp_path: Path) -> None:
    """Whole or streamed, answered or refused; and nothing of the text is in it."""
    with running_collector() as collector, traced_server(tmp_path, collector) as server:
        headers = {"traceparent": TRACEPARENT}
        answers = [
            server.request("POST", CHAT, BODY, headers),
            server.request("POST", CHAT, BODY | {"stream": True}, headers),
            server.request("POST", CHAT, BODY | {"model": "unknown"}, headers),
        ]
        lines = [log_line(server, answer) for answer in answers]
        wait_until(lambda: len(collector.spans) >= 3)

    assert [answer.status for answer in answers] == [200, 200, 404]
    assert len(collector.spans) == 3
    for span in collector.spans:
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
        assert span.kind == Span.SPAN_KIND_SERVER
        assert span.name == f"POST {CHAT}"
        assert span.end_time_unix_nano > span.start_time_unix_nano
    statuses = sorted(attributes(span)["http.response.status_code"] for span in collector.spans)
    assert statuses == [200, 200, 404]
    assert {line["trace_id"] for line in lines} == {TRACE}
    assert set(collector.paths) == {"/v1/traces"}
    assert "quixotic" not in str(collector.requests)
    [service] = {
        pair.value.string_value
        for request in collector.requests
        for of_resource in request.resource_spans
        for pair in of_resource.resource.attributes
        if pair.key == "service.name"
    }
    assert service == "ctranslate2-server"


def test_a_request_without_a_trace_begins_one(tmp_path: Path) -> None:
    """Its id is in the log, too; the service is called what the operator calls it; a stop sends what is left."""
    delay = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_SERVICE_NAME": "translation"}
    with running_collector() as collector:
        with traced_server(tmp_path, collector, **delay) as server:
            line = log_line(server, server.request("POST", CHAT, BODY))
            assert collector.requests == []
        [span] = collector.spans

    assert span.parent_span_id == b""
    assert span.trace_id.hex() == line["trace_id"]
    assert "translation" in str(collector.requests[0].resource_spans[0].resource)


def test_nothing_is_sent_unless_it_is_asked_for(tmp_path: Path) -> None:
    """Whatever OpenTelemetry's variables say; they may be set for everything on a machine."""
    with running_collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "FASTAPI_OTEL_AUTO_CONFIGURE": "true"}
        variables |= {"OTEL_BSP_SCHEDULE_DELAY": "50"}
        with running_server(tmp_path, ready=True, **variables) as server:
            assert server.request("POST", CHAT, BODY, {"traceparent": TRACEPARENT}).status == 200
        assert collector.requests == []


def test_a_collector_that_is_not_there_disturbs_nobody(tmp_path: Path) -> None:
    """Requests are answered, the log says in its own form that spans are lost, and the server still ends in time."""
    nowhere = Collector(f"http://127.0.0.1:{free_port()}")
    with traced_server(tmp_path, nowhere) as server:
        answers = [server.request("POST", CHAT, BODY) for _ in range(3)]
        wait_until(lambda: any("Failed to export spans" in line["message"] for line in server.log_lines()))

    assert [answer.status for answer in answers] == [200] * 3
    # running_server kills what has not ended after 10 s.
    assert server.process.returncode == 0


def test_spans_without_the_extra_stop_the_start_with_one_line() -> None:
    """Who asks for spans should not find out later that there are none."""
    code = """
import sys
sys.modules["opentelemetry.sdk"] = None
from handler.__main__ import main
sys.exit(main([]))
"""
    done = run_python("-c", code, TRACING="otlp", SERVER_PORT="0")

    assert done.returncode == 2
    assert done.stderr == (
        "error: tracing = 'otlp' needs OpenTelemetry's SDK, which is not installed: "
        "pip install 'ctranslate2-server[otel]'\n"
    )


# --- the log, without any of it ---------------------------------------------------------------------------------------


def logged(server: Server, *traceparents: str) -> dict[str, Any]:
    """Return the log line of a request with these headers."""
    headers = {"traceparent": traceparents[0]} if traceparents else {}
    answer: Answer = server.request("GET", "/health/live", headers=headers)
    return log_line(server, answer)


@pytest.mark.parametrize(
    "traceparent",
    [TRACEPARENT, f"00-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01", f"01-{TRACE}-{PARENT}-01-what-comes-later"],
    ids=["sampled", "not sampled", "later version", "later version with more"],
)
def test_the_trace_of_a_request_is_in_its_log_line(server: Server, traceparent: str) -> None:
    """Logs and traces can be joined, even where somebody else makes the spans."""
    assert logged(server, traceparent)["trace_id"] == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "x",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-1",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
    ],
    ids="empty junk bare short more flags ff upper no-trace no-parent length two hex".split(),
)
def test_what_is_no_traceparent_is_ignored(server: Server, traceparent: str) -> None:
    """As the standard has it; nothing a client makes up gets into the log."""
    assert "trace_id" not in logged(server, traceparent)


def test_a_request_without_a_trace_logs_none(server: Server) -> None:
    """Nor one that was there before, on the same connection or another."""
    logged(server, TRACEPARENT)

    assert "trace_id" not in logged(server)
