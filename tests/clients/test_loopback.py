"""The guards that the clients run under let nothing out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PYTHON = """
import asyncio, socket, urllib.request
from loopback import Guard

guard = Guard()
guard.install()
with socket.create_server(("127.0.0.1", 0)) as server:
    address = server.getsockname()
    socket.create_connection(address).close()
    try:
        {attempt}
    except OSError:
        pass
print(sorted(guard.refused), guard.reached == {{"127.0.0.1:%d" % address[1]}})
"""
NODE = """
import net from "node:net";
import {{ reached, refused }} from "./loopback.mjs";

const server = net.createServer((socket) => socket.end()).listen(0, "127.0.0.1", async () => {{
  await fetch(`http://127.0.0.1:${{server.address().port}}`).catch(() => 0);
  try {{
    await {attempt};
  }} catch {{}}
  console.log(JSON.stringify([...refused, reached.size]));
  process.exit();
}});
"""


@pytest.mark.parametrize(
    ("attempt", "refused"),
    [
        ("pass", []),
        ("socket.create_connection(('192.0.2.1', 80), timeout=1)", ["192.0.2.1"]),
        ("socket.socket().connect_ex(('192.0.2.1', 80))", ["192.0.2.1:80"]),
        ("socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))", ["2001:db8::1:80"]),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))", ["192.0.2.1:53"]),
        ("socket.socket(socket.AF_UNIX).connect('/nowhere')", ["/nowhere"]),
        ("urllib.request.urlopen('http://example.com')", ["example.com"]),
        ("asyncio.run(asyncio.open_connection('example.com', 80))", ["example.com"]),
    ],
    ids="nothing address connect-ex ipv6 datagram unix name asyncio".split(),
)
def test_python_reaches_this_machine_alone(attempt: str, refused: list[str]) -> None:
    """Whatever the way out, it is refused and remembered."""
    done = subprocess.run(
        [sys.executable, "-c", PYTHON.format(attempt=attempt)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.strip() == f"{refused} True", done.stderr


@pytest.mark.parametrize(
    ("attempt", "refused"),
    [
        ("0", []),
        ("fetch('http://192.0.2.1')", ["192.0.2.1:80"]),
        ("fetch('https://example.com')", ["example.com:443"]),
        ("net.connect(80, '192.0.2.1')", ["192.0.2.1:80"]),
        ("net.connect('/nowhere')", ["/nowhere"]),
    ],
    ids="nothing fetch tls connect unix".split(),
)
def test_node_reaches_this_machine_alone(attempt: str, refused: list[str]) -> None:
    """The same for the other runtime."""
    done = subprocess.run(
        [Path(sys.executable).with_name("node"), "--input-type=module", "--eval", NODE.format(attempt=attempt)],
        cwd=ROOT / "tests" / "node",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [*refused, 1]
