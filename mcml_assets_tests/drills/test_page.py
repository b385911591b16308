"""The page of measured drills: the newest of each scenario, misses with their reasons, and nothing that was refused."""

from dataclasses import replace

from mcml_assets.domain.drill import Verdict
from mcml_assets.drills.page import page
from mcml_assets_tests.drills.test_report import REFUSED, RESULT


def test_the_page_has_each_scenarios_newest_drill_and_every_miss() -> None:
    """An older drill gives way to a newer one, a refused one is no evidence, and a miss is told with its reason."""
    older = replace(RESULT, reasons=("long ago",))
    refused = replace(REFUSED, scenario="provider_outage")
    text = page([one.to_json() for one in (older, RESULT, refused)], ["region_outage", "provider_outage"])
    (row,) = [line for line in text.splitlines() if line.startswith("| region_outage")]
    assert "| 2.0 s | 3.5 s | 0.0 s | 4.0 s | 1 of 200 | 0 | 20 ms | missed |" in row
    assert "  - at most 0 requests fail: 1 of 200" in text
    assert "long ago" not in text
    assert "Not measured here: provider_outage." in text


def test_a_page_without_misses_claims_none() -> None:
    """Where all objectives were met there is no list of misses."""
    assert "What was missed" not in page([replace(RESULT, verdict=Verdict.MET, reasons=()).to_json()], [])
