"""`python -m mcml_assets.emulation.watch`: runs commands until who started it ends, then ends them: nothing is orphaned.

One that ends before its time is told on standard error, which is the terminal of who started it. The commands come as one
JSON line on standard input, which stays open: the kernel closes it however the starter ends.
"""

import json
import os
import signal
import subprocess
import sys
from threading import Event, Thread
from types import FrameType

GRACE_SECONDS = 5.0


def main() -> None:
    """Run `[{name, command, environment, log}]` until standard input ends or SIGTERM comes."""
    children: list[subprocess.Popen[bytes]] = []
    stopping = Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    try:
        for wanted in json.loads(sys.stdin.readline()):
            with open(wanted["log"], "ab") as log:
                environment = {**os.environ, **wanted["environment"]}
                child = subprocess.Popen(wanted["command"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            children.append(child)
            Thread(target=tell_end, args=(child, wanted["name"], wanted["log"], stopping), daemon=True).start()
        sys.stdin.read()
    finally:
        stopping.set()
        end(children)


def tell_end(child: subprocess.Popen[bytes], name: str, log: str, stopping: Event) -> None:
    """Say that a child ended by itself, and what follows."""
    status = child.wait()
    if not stopping.is_set():
        sys.stderr.write(
            f"The emulator of {name} ended with status {status}, and what it held is gone; its log is {log}. "
            "To go on, end the platform with Ctrl-C and start it again: emulated clouds start empty.\n"
        )
        sys.stderr.flush()


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
