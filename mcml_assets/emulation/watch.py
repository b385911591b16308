"""`python -m mcml_assets.emulation.watch`: runs commands until who started it ends, then ends them: nothing is orphaned.

The commands come as one JSON line on standard input, which stays open: the kernel closes it however the starter ends.
"""

import json
import os
import signal
import subprocess
import sys
from types import FrameType

GRACE_SECONDS = 5.0


def main() -> None:
    """Run `[{command, environment, log}]` until standard input ends or SIGTERM comes."""
    children: list[subprocess.Popen[bytes]] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    try:
        for wanted in json.loads(sys.stdin.readline()):
            with open(wanted["log"], "ab") as log:
                environment = {**os.environ, **wanted["environment"]}
                children.append(
                    subprocess.Popen(wanted["command"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                )
        sys.stdin.read()
    finally:
        end(children)


def end(children: list[subprocess.Popen[bytes]]) -> None:
    """End all: politely, then by force."""
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
