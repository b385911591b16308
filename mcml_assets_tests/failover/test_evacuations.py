"""What an evacuation promises: it holds until it is taken back, for just what it names, and a damaged file is told."""

from pathlib import Path

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.failover.evacuations import Evacuation, evacuate, evacuated, give_all_back, give_back, read_evacuations

LOCATION = "aws/eu-west-2"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def of(workload: str | None, jurisdiction: str | None, location: str = LOCATION) -> Evacuation:
    return Evacuation(location, workload, jurisdiction, "anna", "maintenance", "2026-01-01T00:00:00+00:00")


def test_a_whole_location_is_taken_from_everybody(settings: Settings):
    """Every workload avoids it, in every jurisdiction, until it is given back."""
    assert evacuated(settings, "shop", "UK") == frozenset()
    evacuate(settings, of(None, None))
    assert evacuated(settings, "shop", "UK") == evacuated(settings, "bank", "US") == {LOCATION}
    assert not give_back(settings, LOCATION, "shop", "UK")
    assert give_all_back(settings, LOCATION) == 1
    assert read_evacuations(settings) == ()


def test_one_workload_is_taken_from_a_location(settings: Settings):
    """The others go on there, and saying it twice is the same as once."""
    evacuate(settings, of("shop", "UK"))
    evacuate(settings, of("shop", "UK"))
    evacuate(settings, of("shop", "UK", "gcp/europe-west2"))
    assert evacuated(settings, "shop", "UK") == {LOCATION, "gcp/europe-west2"}
    assert evacuated(settings, "shop", "EU") == evacuated(settings, "bank", "UK") == frozenset()
    assert give_back(settings, LOCATION, "shop", "UK")
    assert evacuated(settings, "shop", "UK") == {"gcp/europe-west2"}


def test_a_damaged_file_is_told(settings: Settings):
    """Nobody takes an unreadable list for an empty one: the error names the file and the way out."""
    evacuate(settings, of(None, None))
    (settings.home / "evacuations.json").write_text('{"format": 2}')
    with pytest.raises(ConfigurationError, match=r"evacuations\.json.*format 2.*remove it"):
        evacuated(settings, "shop", "UK")
