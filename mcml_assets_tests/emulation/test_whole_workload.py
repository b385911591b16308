"""One whole workload, from its source to an answer of the edge, over the protocols of three clouds at once."""

import base64
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import Settings
from mcml_assets.emulation.servers import emulators_folder, start_emulators
from mcml_assets.resources.credentials import azure_blob_resource, s3_resource
from mcml_assets.serving.client import predict
from mcml_assets.serving.data_plane import stop_data_plane
from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of
from mcml_assets_tests.emulation.started import settings_for
from mcml_assets_tests.serving.served_shop import free_settings

pytestmark = pytest.mark.live

PRIMARY, WARM, COLD = "azure/westeurope", "gcp/europe-west1", "aws/eu-central-1"
LOCATIONS = (PRIMARY, WARM, COLD)
CUSTOMER = 12471  # of Germany, who bought in every month
PLANTED = base64.b64encode(b"a key that was revoked, and that nobody may read").decode()


class Emulated(Bench):
    """The EU of online_retail over running emulators, with what its runs came to, by partition and nouns.

    `environment` is what a process needs to enter the emulators and to find the edge.
    """

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, environment: Mapping[str, str]) -> None:
        super().__init__(DEFS / "online_retail" / "defs.yaml", settings, instance)
        self.environment = environment
        self.results: dict[tuple[str, ...], dg.ExecuteInProcessResult] = {}

    def run_whole(self) -> None:
        """Every asset in the order of the graph, each location for itself."""
        steps = [("EU", "landing"), *((location, "raw_data", "feature_snapshot") for location in LOCATIONS)]
        steps += [("EU", "training_run"), *((location, "model", "endpoint") for location in LOCATIONS), ("EU", "traffic_route")]
        for partition, *nouns in steps:
            result = self.run(partition, *nouns)
            assert result.success, failure_of(result)
            self.results[(partition, *nouns)] = result

    @property
    def secrets(self) -> frozenset[str]:
        """What nobody may read: secrets as they are, and of a key file, which is named by its path, what is in it."""
        return frozenset(
            _private_key(Path(value)) if name.endswith("_KEY_FILE") else value
            for name, value in self.environment.items()
            if name.endswith(("_KEY_FILE", "_SECRET")) or (name.startswith("MCML_AZURE") and name.endswith("_KEY"))
        )

    def told(self, location: str, noun: str) -> Mapping[str, Any]:
        """The metadata of the location's latest materialization of an asset."""
        wanted = dg.AssetRecordsFilter(self.key(noun), asset_partitions=[location])
        (record,) = self.instance.fetch_materializations(wanted, limit=1).records
        assert record.asset_materialization is not None
        return {name: value.value for name, value in record.asset_materialization.metadata.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "dagster").mkdir()
    with (
        patch.dict(os.environ),
        start_emulators(settings_for(folder / "home")) as emulators,
        dg.DagsterInstance.local_temp(str(folder / "dagster")) as instance,
    ):
        free = free_settings(folder / "home")
        ports = ("edge_port", "edge_admin_port", "metrics_port", "endpoint_first_port", "endpoint_ports")
        environment = {f"MCML_{name.upper()}": str(getattr(free, name)) for name in ports} | dict(emulators.environment)
        os.environ.update(environment)
        running = Emulated(Settings(home=free.home, topology=emulators.topology_file), instance, environment)
        try:
            running.run_whole()
            yield running
        finally:
            stop_data_plane(running.settings)


@pytest.fixture
def emulated(whole: Emulated, monkeypatch: pytest.MonkeyPatch) -> Emulated:
    """The workload, in a process that may enter its clouds."""
    for name, value in whole.environment.items():
        monkeypatch.setenv(name, value)
    return whole


def _private_key(key_file: Path) -> str:
    """A line of the private key in a service account's key file."""
    return key_file.read_text().partition("PRIVATE KEY-----\\n")[2][:64]


def test_every_location_holds_the_same_and_every_check_passed(emulated: Emulated):
    """Three clouds' protocols, three equal copies of raw data, features and model, each proved where it is."""
    for noun in ("raw_data", "feature_snapshot", "model"):
        held = {emulated.current(location, noun) for location in LOCATIONS}
        assert len(held) == 1
        assert None not in held
    for (partition, *nouns), result in emulated.results.items():
        checks = checks_of(result)
        assert all(checks.values()), (partition, nouns, checks)
        assert checks or nouns == ["landing"]


def test_the_edge_answers_from_the_emulated_model(emulated: Emulated):
    """A customer of the EU gets a probability by the model that the emulated buckets hold."""
    answer = predict(emulated.settings, emulated.workload, CUSTOMER, "EU")
    assert 0 < answer.score < 1
    assert answer.location == PRIMARY
    assert answer.feature_snapshot == emulated.current(PRIMARY, "feature_snapshot")


def test_a_copy_tells_what_it_moved_what_it_cost_and_how_late_it_was(emulated: Emulated):
    """Dagster has numbers to plot of each copy: bytes, files, time, pace, egress in bytes and money, and the lag."""
    manifest = emulated.stores.snapshots(emulated.workload, PRIMARY, "landing").current()
    assert manifest is not None
    price = emulated.stores.topology.location(PRIMARY).egress_price
    for location in (WARM, COLD):
        told = emulated.told(location, "raw_data")
        assert (told["copied_files"], told["copied_bytes"]) == (len(manifest.files), manifest.size)
        assert (told["reused_files"], told["retried_files"], told["egress_bytes"]) == (0, 0, manifest.size)
        assert told["egress_cost_USD"] == pytest.approx(float(price * manifest.size / Decimal(2**30)))
        assert told["megabytes_per_second"] == pytest.approx(manifest.size / told["seconds"] / 1e6)
        assert told["replication_lag_seconds"] > 0
        assert told["requests"] > 0
    # Within one location nothing is copied, and nothing leaves.
    here = emulated.told(PRIMARY, "raw_data")
    assert (here["copied_bytes"], here["egress_bytes"], here["reused_bytes"]) == (0, 0, manifest.size)


def shown(emulated: Emulated) -> list[str]:
    """How everything that holds a way into a bucket shows itself, in a traceback or a debugger, after it was used."""
    buckets = [emulated.stores.bucket(location) for location in LOCATIONS]
    for bucket in buckets:
        bucket.get(f"{emulated.workload.name}/raw_data/current.json")
    inner = [getattr(bucket, "inner", bucket) for bucket in buckets]
    resources = [*(emulated.definitions.resources or {}).values(), emulated.stores, emulated.stores.topology]
    integrations = [
        azure_blob_resource(emulated.stores.topology.location(PRIMARY)),
        s3_resource(emulated.stores.topology.location(COLD)),
    ]
    everything = [*resources, *integrations, emulated.settings, emulated.stores.register, *buckets, *inner]
    return [text for each in everything for text in (repr(each), str(each), repr(getattr(each, "__dict__", "")))]


def test_no_secret_is_in_any_event_log_or_file(emulated: Emulated, monkeypatch: pytest.MonkeyPatch):
    """After a whole workload, and a run whose credentials were refused, no credential is in what Dagster or we wrote.

    Nor in how a resource, a store or the topology shows itself.
    """
    told = shown(emulated)
    monkeypatch.setenv("MCML_AZURE_WESTEUROPE_KEY", PLANTED)
    refused = emulated.run(PRIMARY, "raw_data")
    assert not refused.success
    assert "CredentialsRejected" in failure_of(refused)
    secrets = {*emulated.secrets, PLANTED}
    # Three S3 secrets, three of Azure's keys, three of Google's key files, and the planted one.
    assert len(secrets) == 10
    assert min(map(len, secrets)) >= 32
    entries = [str(entry) for run in emulated.instance.get_runs() for entry in emulated.instance.all_logs(run.run_id)]
    assert any("CredentialsRejected" in entry for entry in entries)
    own = emulators_folder(emulated.settings)
    files = [path for path in emulated.settings.home.parent.rglob("*") if path.is_file() and own not in path.parents]
    assert len(files) > 20
    # What was printed in a run is in compute logs, what was recorded in the instance's storage.
    assert any("compute_logs" in path.parts for path in files)
    assert any(path.suffix == ".db" for path in files)
    texts = [*entries, *(path.read_bytes().decode(errors="replace") for path in files), *told]
    assert [text for text in texts if any(secret in text for secret in secrets)] == []
