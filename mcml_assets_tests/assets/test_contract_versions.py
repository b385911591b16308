"""A contract from its first version to one that breaks it, over real stores and a real Dagster instance.

Locations change version one after the other; what landed under an older one is judged by it, compared in it, and stays
readable.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from mcml_assets.build import DEFS
from mcml_assets.clouds.fault_plan import clear_all_faults, set_fault
from mcml_assets.configuration.contract_files import exported_versions
from mcml_assets.configuration.settings import Settings
from mcml_assets.contracts.judge import judge
from mcml_assets.contracts.version import judged_by
from mcml_assets.declaration import now
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.resources.alerts import Alerts
from mcml_assets.sensors.alerting import alerting
from mcml_assets_tests.alerting.receiver import receiver
from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of

UK, WARM, OTHER = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
ROWS = 12_000
QUANTITY = '            "Quantity": pa.Column(\n'


class Release:
    """One state of the workload's folder: its code, declaration and source, as one deployment has them."""

    def __init__(self, folder: Path, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.folder, self.settings, self.instance = folder, settings, instance

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        file = self.folder / name
        text = file.read_text()
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        file.write_text(text)

    def source(self, change: Callable[[pa.Table], pa.Table]) -> None:
        file = self.folder / "data" / "transactions.parquet"
        parquet.write_table(change(parquet.read_table(file)), file)

    def export(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        from typer.testing import CliRunner

        from mcml_assets import build, cli

        monkeypatch.setattr(build, "DEFS", self.folder.parent)
        return CliRunner().invoke(cli.app, ["contract", "export", "online_retail"])

    def bench(self) -> Bench:
        return Bench(self.folder / "defs.yaml", self.settings, self.instance)


@pytest.fixture
def release(tmp_path: Path) -> Callable[[str, Release | None], Release]:
    """A deployment's folder, copied from another one or from the example, over one set of clouds."""
    settings, instance = Settings(home=tmp_path / "home"), dg.DagsterInstance.ephemeral()

    def make(name: str, before: Release | None = None) -> Release:
        folder = tmp_path / name / "online_retail"
        shutil.copytree(before.folder if before else DEFS / "online_retail", folder,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
        made = Release(folder, settings, instance)
        if before is None:
            made.source(few_rows)
        return made

    return make


def few_rows(table: pa.Table) -> pa.Table:
    """The whole invoices of the first days."""
    table = table.sort_by("InvoiceDate")
    first = table.slice(0, ROWS)
    return first.filter(pc.call_function("not_equal", [first["InvoiceNo"], table["InvoiceNo"][ROWS]]))


def with_channel(table: pa.Table) -> pa.Table:
    """The source once its owner tells where an order came from; of old lines nobody knows."""
    return table.append_column("Channel", pa.nulls(len(table), pa.string()))


DECLARED = "        Country: string\n"
PRICE = '"UnitPrice": pa.Column(float, pa.Check.in_range(-20_000, 50_000), description="GBP")'
SINCE = 'pa.Check.ge(pd.Timestamp("2010-12-0{}")),'
VERSION_1_1 = {
    "defs.yaml": (
        (DECLARED + "      placed_by", DECLARED + "        Channel: string\n      placed_by"),
        ("  contract: contract.py:contract\n", '  contract: contract.py:contract\n  contract_version: "1.1"\n'),
    ),
    "contract.py": (
        (QUANTITY, '            "Channel": pa.Column(str, pa.Check.isin(["web", "shop"]), nullable=True),\n' + QUANTITY),
        # Tighter than what has landed: the lines of the first day do not keep it, and were never promised to.
        (SINCE.format(1), SINCE.format(2)),
    ),
}
VERSION_2_0 = {
    "defs.yaml": (("        UnitPrice: double\n", "        Pence: int64\n"),),
    "contract.py": (
        (SINCE.format(2), SINCE.format(1)),
        (PRICE, '"Pence": pa.Column("int64", pa.Check.in_range(-2_000_000, 5_000_000))'),
        ('(lines["UnitPrice"] == 0)', '(lines["Pence"] == 0)'),
        ('(lines["UnitPrice"] >= 0)', '(lines["Pence"] >= 0)'),
    ),
}


def apply(release: Release, changes: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    for name, edits in changes.items():
        release.edit(name, *edits)


def in_pence(table: pa.Table) -> pa.Table:
    """A breaking change of a source: whole pence instead of pounds, under another name."""
    pence = pc.call_function("round", [pc.call_function("multiply", [table["UnitPrice"], pa.scalar(100.0)])]).cast(pa.int64())
    return table.drop_columns(["UnitPrice"]).append_column("Pence", pence)


def manifest(bench: Bench, location: str, noun: str) -> Manifest:
    found = bench.stores.snapshots(bench.workload, location, noun).current()
    assert found is not None
    return found


def ran(result: dg.ExecuteInProcessResult) -> dg.ExecuteInProcessResult:
    assert result.success, failure_of(result)
    return result


def told(result: dg.ExecuteInProcessResult, check: str, noun: str) -> Mapping[str, Any]:
    (found,) = [
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.check_name == check and evaluation.asset_key.path[-1] == noun
    ]
    return {"passed": found.passed, **{name: value.value for name, value in found.metadata.items()}}


def alerted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], list[str]]]:
    """What somebody is told whose receiver hears of everything that is wrong now."""
    with receiver() as here:
        monkeypatch.setenv("ALERTS", here.address)
        repository = bench.definitions.get_repository_def()
        with dg.build_sensor_context(instance=bench.instance, repository_def=repository) as context:
            alerting(context, alerts=Alerts(webhook="ALERTS", pagerduty_address="unused", repeat_hours=24))
        return [(one["title"], one["where"], one["details"]) for one in here.got]


def act(bench: Bench, former: Acting, location: str) -> None:
    bench.stores.register.change(bench.workload, "UK", former, Acting(location, former.epoch + 1), who="test", why="test",
                                 request_id=f"{former.epoch + 1}")  # fmt: skip


def test_a_contract_moves_from_version_to_version(
    release: Callable[..., Release], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """1.0 everywhere; 1.1 in one location, and parity holds; 2.0 only with its number, told, and the old stays readable."""
    first = release("first")
    first.edit("defs.yaml", ("first_batch_days: 180", "first_batch_days: 1"), ("      batch_days: 30", "      batch_days: 1"))
    old = first.bench()
    ran(old.run("UK", "landing"))
    for location in (UK, WARM, OTHER):
        ran(old.run(location, "raw_data"))

    # 1.1 is deployed at the acting location; the landing brings old rows into the new form, and takes none twice.
    second = release("second", first)
    apply(second, VERSION_1_1)
    second.source(with_channel)
    assert second.export(monkeypatch).exit_code == 0
    new = second.bench()
    landing = ran(new.run("UK", "landing"))
    assert told(landing, "contract", "landing")["contract_version"] == "1.1"
    assert told(landing, "contract_version", "landing")["passed"]
    ran(new.run(UK, "raw_data"))
    landed = manifest(new, UK, "raw_data")
    assert landed.annotations["contract"] == "1.1"
    # The lines of before keep their version, at home and in every copy, and are not asked what was tightened since.
    assert landed.annotations["older_contracts"] == {"1.0": ["transactions/part-00000.parquet"]}
    verdict = new.check(UK, "raw_data", "contract")
    assert verdict.passed
    assert "greater_than_or_equal_to(2010-12-01 00:00:00) (of rows that landed under 1.0)" in str(
        verdict.metadata["report"].value
    )
    assert landing.get_asset_materialization_events()[-1].materialization.metadata["late_rows"].value == 0

    # What still is 1.0 is judged by 1.0, by the code that declares 1.1.
    verdict = new.check(WARM, "raw_data", "contract")
    assert (verdict.passed, verdict.metadata["contract_version"].value) == (True, "1.0")

    # Cut off from it, another location on the old deployment lands the same rows in the older form.
    act(new, Acting(UK, 1), WARM)
    start = datetime.now(UTC)
    set_fault(Fault("aws", FaultKind.OUTAGE, start, start + timedelta(hours=1)), old.stores.topology, old.settings)
    ran(old.run("UK", "landing"))
    clear_all_faults(old.settings)
    ran(old.run(WARM, "raw_data"))
    there = manifest(old, WARM, "raw_data")
    assert there.snapshot_id != landed.snapshot_id
    assert there.annotations["number"] == landed.annotations["number"]
    parity = new.check(UK, "raw_data", "parity")
    assert parity.metadata["standing"].value == "agrees", parity.description
    assert (parity.metadata["compared_in_version"].value, parity.metadata["versions"].value) == ("1.0", "1.0, 1.1")

    # A breaking change under a smaller number is refused, at export and at load.
    third = release("third", second)
    apply(third, VERSION_2_0)
    third.source(in_pence)
    refused = third.export(monkeypatch)
    assert refused.exit_code == 2
    assert "needs version 2.0, not 1.1" in " ".join(refused.output.split())
    with pytest.raises(ConfigurationError, match=r"changed since contracts/1\.1\.odcs\.yaml"):
        third.bench()
    third.edit("defs.yaml", ('contract_version: "1.1"', 'contract_version: "2.0"'))
    assert third.export(monkeypatch).exit_code == 0
    assert list(exported_versions(third.folder)) == ["1.0", "1.1", "2.0"]

    # Rows in pounds cannot be brought into pence: nothing lands until the declaration says what becomes of them.
    broken = third.bench()
    act(broken, Acting(WARM, 2), UK)
    stopped = broken.run("UK", "landing")
    assert checks_of(stopped) == {"contract": False}
    assert "cannot" in failure_of(stopped) or "not null" in failure_of(stopped)
    third.edit("defs.yaml", ('contract_version: "2.0"\n', 'contract_version: "2.0"\n  on_breaking_contract: retake\n'))
    retaking = third.bench()
    before = manifest(retaking, UK, "landing")
    again = ran(retaking.run("UK", "landing"))
    readers = told(again, "contract_version", "landing")
    assert not readers["passed"]
    assert "Contract 2.0 breaks 1.0: transactions.UnitPrice: column removed" in readers["problem"]
    assert alerted(retaking, monkeypatch) == [("contract_version of online_retail/landing fails", ["UK"], [readers["problem"]])]
    after = manifest(retaking, UK, "landing")
    assert (after.watermark, after.row_count) == (before.watermark, before.row_count)
    assert after.annotations["contract"] == "2.0"

    # The snapshot before it is still there, and is judged by its own version.
    files = retaking.stores.snapshots(retaking.workload, UK, "landing").fetch(before, tmp_path / "before")
    by = judged_by(retaking.workload, "1.0", before.schema)
    parts = [local for path, local in sorted(files.items()) if path.startswith("transactions/")]
    rules = judge(by.function, {"transactions": parts}, by.unshown, None, by.ignored)
    assert [rule.rule for rule in rules if rule.failures] == [
        "newest within 14 days of the watermark (the snapshot has no watermark)"
    ]
    assert told(ran(retaking.run("UK", "landing")), "contract_version", "landing")["passed"]
    assert alerted(retaking, monkeypatch) == []

    # An old deployment does not go on from newer data.
    assert "landed under contract 2.0, and 1.0 is declared" in failure_of(old.run("UK", "landing"))


def test_a_contract_without_an_exported_version_is_told(
    release: Callable[..., Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing to compare with a breaking change would go unseen: the landing says so, and which command ends it."""
    bare = release("bare")
    shutil.rmtree(bare.folder / "contracts")
    bench = bare.bench()
    found = told(ran(bench.run("UK", "landing")), "contract_version", "landing")
    assert not found["passed"]
    assert "run `mcml contract export online_retail`" in found["problem"]
    assert alerted(bench, monkeypatch) == [("contract_version of online_retail/landing fails", ["UK"], [found["problem"]])]
    assert bare.export(monkeypatch).exit_code == 0
    assert told(ran(bare.bench().run("UK", "landing")), "contract_version", "landing")["passed"]


def publish_features(bench: Bench, location: str, version: str, folder: Path, **more: pa.Array) -> None:
    """Store features of three customers at a location, computed from data of a version."""
    (view,) = bench.workload.features.views
    times = pa.array([datetime(2011, 5, 30, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC"))
    values = {name: pa.array([1, 2, 3]).cast(pa.type_for_alias(type_)) for name, type_ in view.features.items()}
    table = pa.table({view.join_key: pa.array([17_850, 13_047, 12_583]), "event_timestamp": times, **values} | more)
    file = folder / f"{location.replace('/', '-')}.parquet"
    parquet.write_table(table, file)
    bench.stores.snapshots(bench.workload, location, "feature_snapshot").commit(
        {"customer/2011-05-30.parquet": file},
        tables_schema={"customer": {field.name: str(field.type) for field in table.schema}}, row_count=3,
        watermark="2011-05-30T00:00:00", parents={"raw_data": "0" * 64}, code_version=version, epoch=1, producer=location,
        created_at=now(), annotations={"contract": version},
    )  # fmt: skip


def test_features_of_two_versions_are_compared_in_the_older_ones_form(release: Callable[..., Release], tmp_path: Path) -> None:
    """A feature that only the newer version has is no difference, one that both have and that differs is."""
    bench = release("shop").bench()
    publish_features(bench, UK, "1.1", tmp_path, channels=pa.array([1, 1, 2]))
    publish_features(bench, WARM, "1.0", tmp_path)
    verdict = bench.check(UK, "feature_snapshot", "parity")
    assert (verdict.passed, verdict.metadata["standing"].value) == (True, "agrees"), verdict.description
    assert verdict.metadata["compared_in_version"].value == "1.0"
    publish_features(bench, WARM, "1.0", tmp_path, frequency=pa.array([1, 2, 4]))
    verdict = bench.check(UK, "feature_snapshot", "parity")
    assert (verdict.passed, verdict.metadata["standing"].value) == (False, "undecided")
    assert "frequency" in str(verdict.metadata["differences"].value)


FEATURE_RULES = """

def feature_contract():
    return {"customer": pa.DataFrameSchema({"frequency": pa.Column("int64", pa.Check.ge(1))})}
"""


def test_features_are_judged_by_the_rules_of_their_version(
    release: Callable[..., Release], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A rule about features that a newer version tightens is asked of features of that version, and of none before."""
    first = release("first")
    file = first.folder / "contract.py"
    file.write_text(file.read_text() + FEATURE_RULES)
    first.edit(
        "defs.yaml", ("  features:\n    function", "  features:\n    contract: contract.py:feature_contract\n    function")
    )
    assert first.export(monkeypatch).exit_code == 0
    second = release("second", first)
    second.edit("contract.py", ("pa.Check.ge(1)", "pa.Check.ge(2)"))
    second.edit(
        "defs.yaml", ("  contract: contract.py:contract\n", '  contract: contract.py:contract\n  contract_version: "1.1"\n')
    )
    assert second.export(monkeypatch).exit_code == 0
    bench = second.bench()

    def rules(version: str, frequency: list[int]) -> str:
        publish_features(bench, WARM, version, tmp_path, frequency=pa.array(frequency))
        verdict = bench.check(WARM, "feature_snapshot", "contract")
        assert verdict.metadata["contract_version"].value == version
        return str(verdict.metadata["report"].value)

    assert "| ✓ | customer | frequency | greater_than_or_equal_to(1) | 0 |" in rules("1.0", [1, 2, 3])
    assert "| ✗ | customer | frequency | greater_than_or_equal_to(2) | 1 |" in rules("1.1", [1, 5, 6])


def test_rules_about_features_in_a_file_of_their_own_have_versions_too(
    release: Callable[..., Release], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is kept with a version judges its features; a change of the file without a new version is refused at load."""
    first = release("first")
    rules = first.folder / "rules.py"
    rules.write_text("import pandera.pandas as pa\n" + FEATURE_RULES)
    first.edit("defs.yaml", ("  features:\n    function", "  features:\n    contract: rules.py:feature_contract\n    function"))
    with pytest.raises(ConfigurationError, match=r"rules.py is not kept with version 1.0: run `mcml contract export"):
        first.bench()
    assert first.export(monkeypatch).exit_code == 0
    second = release("second", first)
    second.edit("rules.py", ("pa.Check.ge(1)", "pa.Check.ge(2)"))
    with pytest.raises(ConfigurationError, match=r"rules.py changed since contracts/1.0.features.py"):
        second.bench()
    refused = second.export(monkeypatch)
    assert (refused.exit_code, "declare a new contract_version" in refused.output) == (2, True)
    second.edit(
        "defs.yaml", ("  contract: contract.py:contract\n", '  contract: contract.py:contract\n  contract_version: "1.1"\n')
    )
    assert second.export(monkeypatch).exit_code == 0
    bench = second.bench()
    for version, frequency, told in (
        ("1.0", [1, 2, 3], "| ✓ | customer | frequency | greater_than_or_equal_to(1) | 0 |"),
        ("1.1", [1, 5, 6], "| ✗ | customer | frequency | greater_than_or_equal_to(2) | 1 |"),
    ):
        publish_features(bench, WARM, version, tmp_path, frequency=pa.array(frequency))
        assert told in str(bench.check(WARM, "feature_snapshot", "contract").metadata["report"].value)
