"""The catalogue of defects: each is planted in one location of a real workload, and says which checks find it there.

`planting.py` plants them, `test_defects.py` runs the real checks, `defects_page.py` shows the table. A new check joins by
its name in `CHECKS` or `YIELDED`, a new defect by a line in `DEFECTS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mcml_assets_tests.asset_checks.planting import (
    SPOILT,
    a_hair_more,
    answer_a_hair_off,
    answer_as_yesterday,
    changed,
    flip_a_byte,
    forget_the_versions,
    go_back,
    in_another_zone,
    in_pence,
    last_digit,
    learn_nothing,
    recommit,
    renamed,
    republish,
    serve_former_features,
    spoil_the_online_store,
    spoil_the_source,
    swapped,
    two_hours_behind,
    with_a_row_twice,
    with_first,
    without_a_row,
)

SOUND = ("azure/westeurope", "aws/eu-central-1")
JURISDICTION = "EU"
OF_THE_WORKLOAD = "no_negative_baskets"
CHECKS: Mapping[str, tuple[str, ...]] = {
    "raw_data": ("contract", "integrity", "parity", "replication_lag"),
    "feature_snapshot": (
        "contract", "integrity", "parity", "online_parity", "drift", "replication_lag", OF_THE_WORKLOAD,
    ),
    "model": ("integrity", "parity", "replication_lag"),
    "endpoint": ("parity", "drift", "evidence"),
}  # fmt: skip
"""The checks that are run on every defect, in every location."""
YIELDED: Mapping[str, tuple[str, ...]] = {
    "landing": ("contract", "contract_version"),
    "training_run": ("quality",),
    "canary_training": ("quality", "agreement"),
}
"""Checks of what is about to be published: they run with the asset, which a defect of it is planted before."""
PARTITIONS = {"landing": JURISDICTION, "training_run": JURISDICTION, "canary_training": SPOILT}


Check = tuple[str, str]
"""An asset and the name of one of its checks."""


@dataclass(frozen=True, slots=True)
class Defect:
    """What is spoilt, in which asset, and which checks fail for it there; every other check passes, everywhere.

    `unasked` is a check of the asset that nobody runs in the spoilt location after the defect was planted.
    """

    name: str
    asset: str
    found_by: frozenset[Check]
    plant: Callable[[Any], object]
    note: str = ""
    unasked: str | None = None


def by(asset: str, *checks: str, **others: str) -> frozenset[Check]:
    """These checks of the asset, and one each of other assets."""
    return frozenset({*((asset, check) for check in checks), *others.items()})


def features(name: str, spoil: Callable[[pa.Table], pa.Table], *checks: str, note: str = "", **others: str) -> Defect:
    """Features that this location computed otherwise, committed and published as its pipeline would have."""
    return Defect(name, "feature_snapshot", by("feature_snapshot", *checks, **others), republish(spoil), note)


def raw_data(name: str, spoil: Callable[[pa.Table], pa.Table], *checks: str, note: str = "") -> Defect:
    """Raw data that is not what was landed, with a manifest of its own that fits it."""
    found_by = by("raw_data", *checks, endpoint="evidence")
    return Defect(name, "raw_data", found_by, lambda bench: recommit(bench, "raw_data", spoil), note)


DEFECTS: tuple[Defect, ...] = (
    features("a row lost", without_a_row, "parity", endpoint="evidence"),
    features("a row doubled", with_a_row_twice, "contract", "parity", endpoint="evidence"),
    features(
        "a value changed in the last digit",
        lambda table: changed(table, "recency_days", last_digit),
        "parity",
        endpoint="evidence",
    ),
    features("two columns swapped", swapped, "parity", "drift", endpoint="evidence"),
    features("a time zone shifted", in_another_zone("event_timestamp"), "parity", endpoint="evidence"),
    features(
        "every sum changed by 1e-11 of itself",
        a_hair_more,
        "parity",
        endpoint="evidence",
        note="More than the declared tolerance of 1e-12.",
    ),
    Defect(
        "a row lost, and a manifest that denies it",
        "feature_snapshot",
        by("feature_snapshot", "parity", endpoint="evidence"),
        republish(without_a_row, admits=False),
        "Where ids differ, each location computes its own digests again.",
    ),
    Defect(
        "a division by zero",
        "feature_snapshot",
        by("feature_snapshot", "contract", "parity") | by("endpoint", "drift", "evidence"),
        republish(with_first("gap_ratio", float("inf"))),
        "The model gives no score for an infinite number.",
    ),
    Defect(
        "a basket of less than nothing",
        "feature_snapshot",
        by("feature_snapshot", OF_THE_WORKLOAD, "parity") | by("endpoint", "drift", "evidence"),
        republish(with_first("basket_size", -1.0)),
        "The model takes logarithms.",
    ),
    Defect(
        "pounds that became pence",
        "feature_snapshot",
        by("feature_snapshot", "parity", "drift") | by("endpoint", "drift", "evidence"),
        republish(in_pence),
    ),
    raw_data("a row lost", without_a_row, "parity"),
    raw_data("a row doubled", with_a_row_twice, "parity"),
    raw_data("a time zone shifted", in_another_zone("InvoiceDate"), "parity"),
    raw_data("a category renamed", renamed, "parity"),
    raw_data("a line that breaks a rule", with_first("Quantity", 0), "contract", "parity"),
    Defect("one byte flipped", "raw_data", by("raw_data", "integrity", endpoint="evidence"), flip_a_byte("raw_data")),
    Defect(
        "one byte flipped",
        "feature_snapshot",
        by("feature_snapshot", "integrity", "online_parity", "drift", OF_THE_WORKLOAD) | by("endpoint", "drift", "evidence"),
        flip_a_byte("feature_snapshot"),
        "What cannot be read is not found to be right by any check that has to read it.",
    ),
    Defect(
        "one byte flipped",
        "model",
        by("model", "integrity", feature_snapshot="drift") | by("endpoint", "drift", "evidence"),
        flip_a_byte("model"),
        "`drift` cannot read what the model learnt from.",
    ),
    Defect("a stale snapshot served", "raw_data", by("raw_data", "parity", endpoint="evidence"), go_back("raw_data")),
    Defect(
        "a stale snapshot served",
        "feature_snapshot",
        by("feature_snapshot", "contract", "parity", "online_parity", endpoint="evidence"),
        go_back("feature_snapshot"),
        "The online store was built from the newest, and the raw data goes further.",
    ),
    Defect(
        "a stale online store",
        "feature_snapshot",
        by("feature_snapshot", "online_parity", endpoint="evidence"),
        serve_former_features,
    ),
    Defect(
        "an online store of other values",
        "feature_snapshot",
        by("feature_snapshot", "online_parity", endpoint="evidence"),
        spoil_the_online_store,
    ),
    Defect(
        "a model of yesterday",
        "model",
        by("model", "parity") | by("endpoint", "parity", "evidence"),
        go_back("model"),
        "The server answers from the newest, and that is not what is held.",
    ),
    *(
        Defect(
            "twice the recovery point objective behind",
            noun,
            by(noun, "replication_lag", *checks) | others,
            two_hours_behind(noun, origin),
        )
        for noun, origin, checks, others in (
            ("raw_data", "landing", ("parity",), by("endpoint", "evidence")),
            ("feature_snapshot", "feature_snapshot", ("contract", "parity", "online_parity"), by("endpoint", "evidence")),
            ("model", "training_run", ("parity",), by("endpoint", "parity", "evidence")),
        )
    ),
    Defect("golden predictions off by 1e-6", "endpoint", by("endpoint", "parity"), answer_a_hair_off),
    Defect("a model of yesterday that answers", "endpoint", by("endpoint", "parity"), answer_as_yesterday),
    Defect(
        "features that nobody compared with their manifest",
        "feature_snapshot",
        by("endpoint", "evidence"),
        republish(lambda table: table),
        "Nothing is wrong with them; a check that did not run counts as failed.",
        unasked="integrity",
    ),
    Defect("lines that break a rule", "landing", by("landing", "contract"), spoil_the_source),
    Defect("no version of the contract to compare with", "landing", by("landing", "contract_version"), forget_the_versions),
    Defect("a training that sees no feature", "training_run", by("training_run", "quality"), learn_nothing),
    Defect("a training that sees no feature", "canary_training", by("canary_training", "quality", "agreement"), learn_nothing),
)
