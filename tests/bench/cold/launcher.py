"""Starts processes for the benchmark from inside a cell: a container, or this very machine.

Reads one JSON object a line, ``{"argv", "env", "cwd"}``, starts it and says when; the next line kills it, and the
answer to that is what the kernel counted. Standard library alone: it runs on the image's interpreter.
"""

import json
import os
import signal
import sys
import time


def main() -> None:
    """Serve standard input until it ends."""
    for line in sys.stdin:
        job = json.loads(line)
        os.chdir(job["cwd"])
        started = time.monotonic_ns()
        pid = os.posix_spawnp(
            job["argv"][0],
            job["argv"],
            {**os.environ, **job["env"]},
            # Standard output is this program's answer.
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1)],
        )
        print(json.dumps({"started_ns": started}), flush=True)
        sys.stdin.readline()
        os.kill(pid, signal.SIGKILL)
        _, _, usage = os.wait4(pid, 0)
        print(json.dumps({"cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}), flush=True)


if __name__ == "__main__":
    main()
