"""Where the results of drills are kept, one folder each, and how they become events of `drill_result`."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import dagster as dg

from mcml_assets.automation import DRILL_TAG
from mcml_assets.configuration.settings import Settings
from mcml_assets.declaration import asset_key
from mcml_assets.domain.drill_result import DrillResult
from mcml_assets.domain.workload import Workload
from mcml_assets.drills.report import html, markdown, timeline_picture
from mcml_assets.serving.folder import write_atomically


def keep(result: DrillResult, settings: Settings) -> Path:
    """Write the result and its report, and return the report's file. One that was refused shows nothing and is not kept."""
    folder = settings.drills_folder / result.id
    folder.mkdir(parents=True, exist_ok=True)
    picture = timeline_picture(result)
    runs = f"http://127.0.0.1:{settings.webserver_port}/runs?{urlencode({'q[0]': f'tag:{DRILL_TAG}={result.id}'})}"
    write_atomically(folder / "report.html", html(result, picture, runs))
    if picture is not None:
        (folder / "timeline.png").write_bytes(picture)
    # Last: a folder with a result is whole.
    write_atomically(folder / "result.json", json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n")
    return folder / "report.html"


def kept_results(settings: Settings) -> list[dict[str, Any]]:
    """The documents of all drills on this machine, oldest first."""
    return [json.loads(file.read_bytes()) for file in sorted(settings.drills_folder.glob("*/result.json"))]


def metadata(result: DrillResult, report: Path) -> dict[str, Any]:
    """What the UI shows of a drill; numbers stay numbers, so that Dagster plots them over time."""
    timeline = report.with_name("timeline.png")  # drawn once, by `keep`
    picture = timeline.read_bytes() if timeline.exists() else None
    found: dict[str, Any] = {
        "verdict": result.verdict.value,
        "jurisdiction": result.jurisdiction,
        "location": result.location,
        "drill": result.id,
        "began": dg.MetadataValue.timestamp(result.began),
        "ended": dg.MetadataValue.timestamp(result.ended),
        "report_file": dg.MetadataValue.path(str(report)),
        "report": dg.MetadataValue.md(markdown(result, picture)),
    }
    measured = result.measured
    if measured is not None:
        found |= {
            "requests": measured.requests.sent,
            "failed_requests": measured.requests.failed,
            "slowest_milliseconds": measured.requests.slowest,
        }
        seconds = {"recovery_seconds": measured.timeline.seconds("served"), "loss_seconds": measured.loss_seconds}
        found |= {name: value for name, value in seconds.items() if value is not None}
    return found


def report_event(result: DrillResult, workload: Workload, report: Path, instance: dg.DagsterInstance) -> None:
    """Tell Dagster of a drill that was run from a terminal; a refused one is no evidence, and is not told."""
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset_key(workload, "drill_result"),
            partition=result.scenario,
            metadata=metadata(result, report),
            tags={DRILL_TAG: result.scenario},
        )
    )
