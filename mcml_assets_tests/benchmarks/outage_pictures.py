"""`python -m mcml_assets_tests.benchmarks.outage_pictures`: one outage and its end on a live platform, as the UI shows it.

Takes the screenshots of `deploy/docs/outage.md` with a headless Chromium, and prints what happened with its seconds, for
that page. The platform is the project as it is, with `online_retail` alone. Needs Debian's chromium.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.benchmarks.failover import timeline
from mcml_assets_tests.benchmarks.running_platform import WORKLOAD, Platform, copy_project, running, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

JURISDICTION, PRIMARY = "UK", "aws/eu-west-2"
WIDTH, HEIGHT, TIMELINE_HEIGHT = 1500, 900, 380
SETTLE_MILLISECONDS = 9_000
MOVED_SECONDS, RETURNED_SECONDS = 180.0, 900.0
ROUTE = f"/assets/{WORKLOAD}/traffic_route?view=events"


@contextmanager
def browser_page() -> Iterator["Page"]:
    """A page of a browser that asks nobody but this machine for names."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no chromium is installed: apt-get install chromium")
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        finally:
            browser.close()


def take(platform: Platform, path: str, picture: Path) -> None:
    """A picture of one page of the UI, when it has settled."""
    with browser_page() as page:
        _open(page, platform.ui + path)
        page.screenshot(path=picture)


def take_timeline(platform: Platform, picture: Path) -> None:
    """A picture of the last hour's runs, by the sensor that requested them."""
    with browser_page() as page:
        _open(page, f"{platform.ui}/overview/activity/timeline?groupBy=automation")
        page.get_by_role("button", name="1hr").click()
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": WIDTH, "height": TIMELINE_HEIGHT})


def _open(page: "Page", address: str) -> None:
    page.goto(address, wait_until="domcontentloaded", timeout=120_000)
    page.wait_for_timeout(SETTLE_MILLISECONDS)


def take_decision(platform: Platform, words: str, picture: Path) -> None:
    """A picture of the newest event on the route whose description has these words."""
    with platform.instance() as instance:
        wanted = dg.AssetRecordsFilter(dg.AssetKey([WORKLOAD, "traffic_route"]), asset_partitions=[JURISDICTION])
        for record in instance.fetch_observations(wanted, limit=50).records:
            observation = record.event_log_entry.asset_observation
            if observation is not None and words in (observation.description or ""):
                take(platform, f"{ROUTE}&time={int(record.timestamp * 1000)}", picture)
                return
    raise SystemExit(f"no event on the route says {words!r}")


def tell(platform: Platform, folder: Path) -> list[str]:
    """Break the primary, mend it, take a picture at each step; returns what happened, a line each, with its seconds."""
    began = platform.darken(PRIMARY)
    entry = platform.register.entry(platform.workload, JURISDICTION)
    wait_until(lambda: _acting(platform) != PRIMARY, MOVED_SECONDS, 0.5, f"another location than {PRIMARY} acts")
    wait_until(lambda: _landed(platform, began), MOVED_SECONDS, 0.5, "the location that took over has landed")
    take_decision(platform, f"moves from {PRIMARY}", folder / "outage-decision.png")
    wait_until(platform.at_rest, MOVED_SECONDS * 2, 2.0, "what follows a takeover has ended")
    mended = time.time()
    platform.mcml("fault", "clear", "--all")
    wait_until(lambda: _acting(platform) == PRIMARY, RETURNED_SECONDS, 0.5, f"{PRIMARY} acts again")
    take(platform, "/runs", folder / "outage-runs.png")
    wait_until(platform.settled, RETURNED_SECONDS, 3.0, "all is well again")
    take_decision(platform, f"to {PRIMARY}", folder / "outage-return.png")
    take_timeline(platform, folder / "outage-timeline.png")
    with platform.instance() as instance:
        events = timeline(instance, platform, JURISDICTION, began)
    lines = [f"{PRIMARY} is broken in epoch {entry.acting.epoch}; it is mended after {mended - began:.0f} s"]
    return [*lines, *(f"{at:7.1f} s  {text}" for at, text in events)]


def _acting(platform: Platform) -> str:
    return platform.register.entry(platform.workload, JURISDICTION).acting.location


def _landed(platform: Platform, began: float) -> bool:
    with platform.instance() as instance:
        key = dg.AssetKey([WORKLOAD, "landing"])
        wanted = dg.AssetRecordsFilter(key, asset_partitions=[JURISDICTION], after_timestamp=began)
        return bool(instance.fetch_materializations(wanted, limit=1).records)


def main() -> None:
    """Start a platform, tell an outage, and print what happened."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--folder", type=Path, default=PROJECT_ROOT / "deploy" / "docs")
    given = arguments.parse_args()
    platform = Platform(PROJECT_ROOT / "build" / "bench" / "pictured")
    copy_project(platform.project, {})
    shutil.rmtree(platform.settings.home, ignore_errors=True)
    with running(platform):
        wait_until(platform.settled, RETURNED_SECONDS, 5.0, "all is well before the outage")
        print("\n".join(tell(platform, given.folder)))  # noqa: T201 - the page's times


if __name__ == "__main__":
    main()
