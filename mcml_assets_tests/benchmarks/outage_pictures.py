"""Screenshots of an outage as the Dagster UI shows it, for `deploy/docs/outage.md`; taken by a headless Chromium."""

import shutil
from pathlib import Path

PAGES = {
    "outage-events": "/assets/{workload}/traffic_route?view=events",
    "outage-runs": "/runs",
    "outage-sensor": "/locations/mcml_assets/sensors/failover",
}
SETTLE_MILLISECONDS = 8_000


def take_pictures(ui: str, workload: str, folder: Path) -> list[Path]:
    """One picture for each of the pages. Needs Debian's chromium; the machine's name resolution is not used."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no chromium is installed: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    taken: list[Path] = []
    with sync_playwright() as browsers:
        arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        browser = browsers.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        for name, path in PAGES.items():
            page.goto(ui + path.format(workload=workload), wait_until="domcontentloaded")
            page.wait_for_timeout(SETTLE_MILLISECONDS)
            taken.append(folder / f"{name}.png")
            page.screenshot(path=taken[-1])
        browser.close()
    return taken
