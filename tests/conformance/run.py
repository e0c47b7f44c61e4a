"""Holds a running server to its own /openapi.json with schemathesis: ``make fuzz-api EXAMPLES=1000``.

Every check it has and those of ``checks.py``, in every phase: what the schema's own limits suggest, random requests,
valid and not, and sequences of them. Exits with 1 where one fails, and prints the request as a curl command.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from conftest import Server, clean_environment, running_server

HERE = Path(__file__).resolve().parent


def schemathesis(server: Server, folder: Path, *, examples: int, seed: int) -> subprocess.CompletedProcess[bytes]:
    """Run it against ``server``.

    Args:
        server: Of the embedded models.
        folder: Where it may write.
        examples: Of each operation in each phase of random requests.
        seed: Equal ones give equal requests.
    """
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{server.url}/openapi.json"),
            *("--checks", "all", "--max-examples", str(examples), "--seed", str(seed)),
        ],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(HERE)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def failures(server: Server) -> list[dict[str, Any]]:
    """Return the lines of the log that tell of what is the server's own fault."""
    return [
        line
        for line in server.log_lines()
        if line["level"] in {"ERROR", "CRITICAL"} or (line.get("status", 0) >= 500 and line["path"] != "/health/ready")
    ]


def main() -> int:
    """Start a server and hold it to its document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="of each operation")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_server(Path(name)) as server:
        done = schemathesis(server, Path(name), examples=arguments.examples, seed=arguments.seed)
        failed = failures(server)
    sys.stdout.buffer.write(done.stdout)
    print(*failed, sep="\n")
    return int(bool(done.returncode or failed))


if __name__ == "__main__":
    sys.exit(main())
