"""`python -m mcml_assets_tests.benchmarks.killed_daemon`: how long a killed daemon's run stays STARTED.

Counted from the new daemon's return. Kills Dagster and its runs with -9 in the middle of a takeover, on the platform that
`failover.py` left; then starts a daemon by itself, so that `mcml dev`, which looks for such runs before it starts, has no
part in it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import dagster as dg
import psutil

from mcml_assets.automation import TAKEOVER_TAG
from mcml_assets_tests.benchmarks.failover import BENCH
from mcml_assets_tests.benchmarks.running_platform import WORKLOAD, Platform, running, wait_until

TIMES = 3
GOAL_SECONDS = 30.0
DAEMON = str(Path(sys.executable).with_name("dagster-daemon"))
STARTED = [dg.DagsterRunStatus.STARTED]


def main() -> None:
    """Kill, start again and wait, three times; add the seconds to `build/bench/failover.json`."""
    platform = Platform(BENCH / "outages")
    took: list[float] = []
    for _ in range(2 * TIMES):
        seconds = _left_started(platform)
        took += [seconds] if seconds is not None else []
        if len(took) == TIMES:
            break
    else:
        raise SystemExit(
            f"only {len(took)} of {2 * TIMES} times a takeover was still going on when it was killed: run it again"
        )
    target = BENCH / "failover.json"
    report = json.loads(target.read_text()) if target.exists() else {}
    report["killed_daemon"] = {"goal": GOAL_SECONDS, "seconds": took, "load": round(os.getloadavg()[0], 2)}
    target.write_text(json.dumps(report, indent=2) + "\n")
    print(f"runs left STARTED were ended {median(took):.1f} s (worst {max(took):.1f} s) after the daemon's return")  # noqa: T201 - the figure


def _left_started(platform: Platform) -> float | None:
    """Seconds from the new daemon's first heartbeat until no run of the old one is STARTED any more; None where the run was
    faster than its end.
    """
    with running(platform) as process:
        acting = platform.register.entry(platform.workload, "UK").acting
        platform.darken(acting.location)
        takeover = {TAKEOVER_TAG: f"{WORKLOAD}/UK/{acting.epoch + 1}"}
        wait_until(lambda: bool(_started(platform, takeover)), 180.0, 0.05, "the takeover is STARTED")
        _kill(process)
    platform.mcml("fault", "clear", "--all")
    left = _started(platform, takeover)
    if not left:
        platform.mcml("stop")
        return None
    with _daemon(platform):
        back = _first_heartbeat(platform)
        wait_until(lambda: not left & _started(platform, takeover), 300.0, 0.1, "no run of the killed daemon is STARTED")
        took = time.time() - back
    platform.mcml("stop")
    return round(took, 1)


def _started(platform: Platform, tags: Mapping[str, str]) -> set[str]:
    with platform.instance() as instance:
        return {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=STARTED, tags=dict(tags)))}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of `mcml dev` and everything of Dagster's; the data plane goes on, as it does when Dagster is lost."""
    mine = psutil.Process(process.pid)
    dagster = [child for child in mine.children(recursive=True) if not _serves(child)]
    for each in (mine, *dagster):
        with suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGKILL)
    process.wait()


def _serves(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return True  # it has ended by itself
    return "mcml_assets.serving" in command or "envoy" in command


@contextmanager
def _daemon(platform: Platform) -> Iterator[None]:
    environment = {**platform.environment, "DAGSTER_HOME": str(platform.settings.dagster_home)}
    with (platform.folder / "daemon.log").open("ab") as log:
        daemon = subprocess.Popen(
            [DAEMON, "run", "-w", "workspace.yaml"], env=environment, cwd=platform.project, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(timeout=120)


def _first_heartbeat(platform: Platform) -> float:
    """When the sensors' part of the new daemon beat first, in Unix seconds."""
    began, seen = time.time(), []

    def beats() -> bool:
        with platform.instance() as instance:
            status = instance.get_daemon_heartbeats().get("SENSOR")
        if status is not None and status.timestamp > began:
            seen.append(status.timestamp)
        return bool(seen)

    wait_until(beats, 300.0, 0.2, "the daemon is back")
    return seen[0]


if __name__ == "__main__":
    main()
