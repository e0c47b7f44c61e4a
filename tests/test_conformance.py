"""Every answer is what ``/openapi.json`` says, to any request that it describes and to many that it does not."""

from pathlib import Path

from conformance.run import failures, schemathesis
from conftest import running_server

EXAMPLES = 50


def test_the_server_keeps_to_its_document(tmp_path: Path) -> None:
    """Every check of schemathesis, and nothing in the log that is the server's own fault."""
    with running_server(tmp_path) as server:
        done = schemathesis(server, tmp_path, examples=EXAMPLES, seed=5)
        failed = failures(server)
        translated = [line for line in server.log_lines() if "completion_tokens" in line]

    assert done.returncode == 0, done.stdout.decode()
    assert failed == []
    assert len(translated) > EXAMPLES
