"""What `mcml dev` promises of the clouds it starts: entered while it runs, empty at the start, and never another profile's."""

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.development import running_clouds
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets_tests.emulation.started import settings_for


@pytest.mark.live
def test_emulated_clouds_are_entered_and_start_empty(tmp_path: Path):
    """Stores open with the settings in use; what Dagster knew of former emulators is forgotten with what they held."""
    written = settings_for(tmp_path)
    history = written.dagster_home / "history"
    history.parent.mkdir(parents=True)
    history.touch()
    with patch.dict(os.environ), running_clouds(written, [].append) as settings:
        assert not history.exists()
        for location in load_topology(settings.topology_file).locations.values():
            store = open_store(location, settings)
            assert list(store.list("")) == []
            store.put("a/b", b"1")
            assert store.get("a/b") == b"1"


def test_a_local_platform_is_not_taken_for_an_emulated_one(tmp_path: Path):
    """A home with local buckets is refused, and nothing in it is touched."""
    settings = Settings(home=tmp_path, profile="emulated")
    kept = settings.dagster_home / "history"
    for folder in (settings.clouds_folder, kept.parent):
        folder.mkdir()
    kept.touch()
    with pytest.raises(ConfigurationError, match="MCML_HOME"), running_clouds(settings, [].append):
        pass
    assert kept.exists()


def test_profiles_do_not_share_a_folder():
    """Each profile has a home of its own unless one is named."""
    homes = {Settings(profile=profile).home for profile in ("local", "emulated", "production")}
    assert len(homes) == 3


def test_clouds_that_are_not_emulated_are_left_as_they_are(tmp_path: Path):
    """Local and real clouds need nothing started: the settings stay, and nothing is written."""
    settings = Settings(home=tmp_path / "home")
    with running_clouds(settings, [].append) as used:
        assert used is settings
    assert not settings.home.exists()
