"""Clients that go away: nobody waits for what nobody reads."""

import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from conftest import Server, running_server

LONG = {
    "target_lang": "fra_Latn",
    "source_lang": "eng_Latn",
    "beam_size": 16,
    "messages": [{"role": "user", "content": "Where is the hotel?\n" * 1500}],
}
PATIENCE_S = 60.0


def _abandon(server: Server, request_id: str) -> None:
    """Send a request whose answer takes long, and hang up."""
    address = urlsplit(server.url)
    body = json.dumps(LONG).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-request-id: {request_id}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode() + body)
        time.sleep(0.05)


def test_abandoned_requests_are_given_up(tmp_path: Path) -> None:
    """Whether they wait for a thread or are being decoded; the log says that nobody was there any more."""
    with running_server(tmp_path) as server:
        for number in range(6):
            _abandon(server, f"gone-{number}")

        assert server.chat("Where is the hotel?", target_lang="fra_Latn").status == 200

        gone = {line["correlation_id"]: line["status"] for line in server.log_lines() if "gone-" in str(line)}
    assert gone == {f"gone-{number}": 499 for number in range(6)}
