"""What a drill's report promises: the whole story on one page, the same in JSON, and nothing that could run or call home."""

import json
import re
from dataclasses import replace
from pathlib import Path

import dagster as dg
import jsonschema
import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import Asked, Ended, Measured, Requests, RolledOut, Stage, Timeline, Verdict, by_second, judge
from mcml_assets.domain.drill_result import DrillResult, Told
from mcml_assets.domain.scenario import Objectives
from mcml_assets.drills.report import TEMPLATE, html, markdown, timeline_picture
from mcml_assets.drills.results import keep, kept_results, metadata

SCHEMA = json.loads(TEMPLATE.with_name("result.schema.json").read_text())
FAULT = 1_790_000_000.0
ASKED = [Asked(FAULT + number / 4, 0.02, 503 if number == 8 else 200, "gcp/europe-west2", 2) for number in range(-20, 200)]
MEASURED = Measured(
    "aws/eu-west-2",
    "gcp/europe-west2",
    Timeline(FAULT, FAULT + 2, FAULT + 3, FAULT + 5, FAULT + 11, FAULT + 3.5, FAULT + 30, None),
    Requests.of([one for one in ASKED if one.due >= FAULT]),
    0.0,
    by_second(ASKED, FAULT),
    4.0,
    (Ended("raw_data in gcp/europe-west2", True, True, "LocationUnavailable"),),
    (Stage("landing", "UK", FAULT + 11, None), Stage("endpoint", "gcp/europe-west2", None, FAULT + 3.5)),
    RolledOut("aws/eu-west-2", 3, 25, "rollout of version 2 to 3: done", True),
)
RESULT = DrillResult(
    id="20260921T120000-ab12",
    scenario="region_outage",
    title="The acting region <script>goes</script> dark",
    hypothesis="Callers notice nothing & work moves.",
    workload="shop",
    jurisdiction="UK",
    location="aws/eu-west-2",
    profile="local",
    who="somebody",
    began=FAULT - 10,
    ended=FAULT + 60,
    verdict=Verdict.MISSED,
    reasons=("at most 0 requests fail: 1 of 200",),
    injected=(Told(FAULT, "outage of aws/eu-west-2 until 12:01:00 UTC"),),
    decisions=(Told(FAULT + 3, "shop in UK moves from aws/eu-west-2 to gcp/europe-west2, epoch 2"),),
    publications=(Told(FAULT + 11, "landing is published in UK"),),
    measured=MEASURED,
    judged=judge(Objectives(moves=True, failed_requests=0, returns=True), MEASURED, 300, 3600),
)
REFUSED = replace(RESULT, verdict=Verdict.REFUSED, injected=(), decisions=(), publications=(), measured=None, judged=())


@pytest.mark.parametrize("result", [RESULT, REFUSED])
def test_the_json_is_what_the_schema_says(result: DrillResult) -> None:
    """A script may rely on the shape, of a drill that was refused too."""
    document = json.loads(json.dumps(result.to_json()))
    jsonschema.validate(document, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "surprise": 1}, SCHEMA)


def test_the_page_tells_the_whole_story_and_calls_nobody() -> None:
    """Hypothesis, verdict, every objective, decision and moment are on it; it loads nothing, and text stays text."""
    page = html(RESULT, timeline_picture(RESULT), "http://127.0.0.1:3000/runs?q=a&b")
    for told in ("Objectives missed", "Callers notice nothing &amp; work moves.", "moves from aws/eu-west-2", "+11.0 s",
                 "at most 0 requests fail", "no event", "data:image/png;base64,"):  # fmt: skip
        assert told in page, told
    assert "<script>" not in page
    assert re.findall(r"src=\"(?!data:)|<link|@import|url\(", page) == []
    # What a reader may click, and nothing loads by itself.
    assert re.findall(r"https?://[^\"]*", page) == ["http://127.0.0.1:3000/runs?q=a&amp;b"]


def test_a_report_says_where_it_was_rehearsed() -> None:
    """A scenario's title speaks of the acting location; somebody may have chosen another one for it."""
    elsewhere = replace(RESULT, location="gcp/europe-west2")
    assert "shop in UK, at gcp/europe-west2" in html(elsewhere, None, "http://127.0.0.1:3000/runs")
    assert "**Objectives missed**: shop in UK, at gcp/europe-west2" in markdown(elsewhere, None)


def test_what_the_faults_do_not_explain_is_told_as_a_surprise() -> None:
    """On the page and in the UI, each in its own line."""
    told = replace(RESULT, surprises=("the run of model in UK failed: no typed error",))
    assert "- surprise: the run of model in UK failed: no typed error" in markdown(told, None).splitlines()
    assert "<li>the run of model in UK failed: no typed error</li>" in html(told, None, "http://127.0.0.1:3000/runs")


def test_the_ui_shows_the_same_with_numbers_to_plot() -> None:
    """The materialization carries the picture, the objectives, and recovery time and loss as numbers."""
    shown = metadata(RESULT, Path("report.html"))
    assert shown["recovery_seconds"] == 3.5
    assert shown["loss_seconds"] == 0.0
    assert shown["failed_requests"] == 1
    text = markdown(RESULT, timeline_picture(RESULT))
    assert "![timeline](data:image/png;base64," in text
    assert "| at most 0 requests fail | 1 of 200 | **missed** |" in text
    assert isinstance(shown["report"], dg.MarkdownMetadataValue)


def test_results_are_kept_and_listed_in_order(tmp_path: Path) -> None:
    """Each drill has a folder with its page and its document, and a refused one has no picture."""
    settings = Settings(home=tmp_path)
    later = replace(REFUSED, id="20260922T120000-ab12")
    for result in (later, RESULT):
        report = keep(result, settings)
        assert report.read_text().startswith("<!doctype html>")
    assert [document["id"] for document in kept_results(settings)] == [RESULT.id, later.id]
    assert not (settings.drills_folder / later.id / "timeline.png").exists()
