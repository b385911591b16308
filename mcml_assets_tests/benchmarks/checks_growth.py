"""How checks grow with rows, columns, locations and workloads; writes the table of `deploy/docs/checks-speed.md`.

Rows and columns are measured by the subjects that read them. By locations and workloads it is the checks of `model`, which
ask about copies, as Dagster runs them by themselves for one location, over local clouds with a few bytes of data: what is
left is Dagster's own part, and one manifest for each location. All times are the processor's, which other work changes less
than the clock's.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

import dagster as dg

from mcml_assets.build import build_resources, build_workload
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.workload import PlacedLocation, Placement, Role, Workload
from mcml_assets_tests.benchmarks import checks_contract, checks_drift, checks_parity
from mcml_assets_tests.benchmarks.report import Result, markdown
from mcml_assets_tests.failover.stage import Stage, example_workloads

PAGE = PROJECT_ROOT / "deploy" / "docs" / "checks-speed.md"
LOCATIONS = (3, 12, 24)
WORKLOADS = (1, 10, 30)
REPEATS = 7
OF_COPIES = ("integrity", "parity", "replication_lag")
REGION = """\
      region-{number}:
        jurisdiction: EU
        bucket: mcml-aws-region-{number}
        compute_profiles: [small]
        egress_price: 0.09
        currency: USD
"""


def measure() -> list[Result]:
    """All rows of the table."""
    with TemporaryDirectory() as scratch:
        of_data = [*checks_parity.growth(Path(scratch) / "parity"), *checks_contract.growth(Path(scratch) / "contract")]
    results = [*of_data, *checks_drift.growth(), *_by_locations(), *_by_workloads()]
    PAGE.write_text(page(results))
    return results


def page(results: list[Result]) -> str:
    """The page's text."""
    return "\n".join(
        [
            "# How checks grow",
            "",
            "Written by `python -m mcml_assets_tests.benchmarks.checks growth`, a part of `make bench-checks`. The larger",
            "case is ours, the smaller one its peer, in time of the processor; both are from one run, so trust the ratio. What",
            "checks cost beside other tools is in the README, what a tick with nothing new costs in `make bench-sensors`.",
            "",
            markdown(results),
            "",
            "A check by location asks each location of its own placement for one manifest, so it grows with the locations of",
            "that placement, and with nothing else: neither other jurisdictions nor other workloads.",
            "",
        ]
    )


def _by_locations() -> list[Result]:
    """The same workload placed in more and more locations of one jurisdiction."""
    took = {count: _cost(1, count) for count in LOCATIONS}
    few = LOCATIONS[0]
    return [
        Result(f"the model's checks in one location of {count}, against of {few}", f"ratio <= {count / few:g}", took[count],
               took[few], "s")
        for count in LOCATIONS[1:]
    ]  # fmt: skip


def _by_workloads() -> list[Result]:
    """One workload's checks beside more and more others."""
    took = {count: _cost(count, LOCATIONS[0]) for count in WORKLOADS}
    few = WORKLOADS[0]
    return [
        Result(
            f"the model's checks of one workload of {count}, against the only one", "ratio <= 1.3", took[count], took[few], "s"
        )
        for count in WORKLOADS[1:]
    ]


def _cost(workloads: int, locations: int) -> float:
    """Processor time of the the model's checks of one workload in its last location."""
    with TemporaryDirectory() as scratch, dg.DagsterInstance.ephemeral() as instance:
        stage = _stage(Path(scratch), workloads, locations)
        stage.fill()
        of_workloads = (build_workload(workload) for workload in stage.workloads.values())
        definitions = dg.Definitions.merge(build_resources(stage.settings), *of_workloads)
        first = next(iter(stage.workloads.values()))
        job = definitions.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=set(),
            asset_check_selection={dg.AssetCheckKey(dg.AssetKey([first.name, "model"]), name) for name in OF_COPIES},
        )
        tags = {"dagster/partition": first.locations[-1].key}
        return median(_run(job, instance, tags) for _ in range(REPEATS))


def _run(job: dg.JobDefinition, instance: dg.DagsterInstance, tags: Mapping[str, str]) -> float:
    began = process_time()
    result = job.execute_in_process(instance=instance, tags=dict(tags))
    took = process_time() - began
    if wrong := [one.check_name for one in result.get_asset_check_evaluations() if not one.passed]:
        raise SystemExit(f"{wrong} fail where all copies are equal")
    return took


def _stage(folder: Path, workloads: int, locations: int) -> Stage:
    topology = folder / "topology.yaml"
    profile = "compute_profiles:\n  small: {cpu: 1, memory_gib: 1}\nclouds:\n  aws:\n    regions:\n"
    topology.write_text(profile + "".join(REGION.format(number=number) for number in range(locations)))
    placed = tuple(
        PlacedLocation(location, Role.WARM if number else Role.PRIMARY)
        for number, location in enumerate(load_topology(topology).locations.values())
    )
    shop = replace(example_workloads(["online_retail"])[0], placements=(Placement("EU", placed),))
    named: list[Workload] = [replace(shop, name=f"shop_{number:03d}") for number in range(workloads)]
    return Stage(folder / "home", named, topology)
