"""What a copy costs that has nothing to do: 10,000 objects that the target holds already."""

from collections.abc import Callable
from time import perf_counter

from mcml_assets.domain.snapshot import Manifest
from mcml_assets.snapshots.replication import replicate
from mcml_assets_tests.benchmarks.replication_peers import Rclone
from mcml_assets_tests.benchmarks.replication_places import EmulatedBuckets, Place
from mcml_assets_tests.benchmarks.replication_turns import OURS, Turns
from mcml_assets_tests.benchmarks.replication_work import KIB, engine_seconds, landing, raw_data, seed
from mcml_assets_tests.benchmarks.report import Result

FILES, SIZE = 10_000, KIB
FIRST_TIMEOUT, TIMEOUT = 300.0, 150.0
AT_HAND = "by a manifest at hand"
RCLONE, CHECKSUM = "rclone copy", "rclone copy --checksum"


def unchanged_through_emulators(emulators: EmulatedBuckets) -> list[Result]:
    """From S3 to Azure: ratios are how many times longer the peer takes."""
    turns = _turns(emulators.new("s3"), lambda: emulators.new("azure"))
    work = "re-sync of 10,000 unchanged objects from S3 to Azure, emulated"
    at_hand, whole = (1000 * (turns.seconds(name) or 0) for name in (AT_HAND, OURS))
    return [
        Result(f"{work}, by a manifest at hand", "ours <= 50", at_hand, None, "ms"),
        Result(f"{work}, with reading the source's manifest", "ours <= 50", whole, None, "ms"),
        _times_faster(turns, work, "ratio >= 100", RCLONE),
        _times_faster(turns, work, "ratio >= 30", CHECKSUM),
    ]


def _turns(source: Place, new: Callable[[], Place]) -> Turns:
    """Each with a target that it filled itself, so that it finds what it expects."""
    manifest = seed(source, [SIZE] * FILES)
    target, of_rclone = new(), new()
    engine_seconds(source, target, manifest)
    Turns({RCLONE: lambda: Rclone().seconds(source, of_rclone, FILES, FIRST_TIMEOUT)}, repeats=1)
    return Turns(
        {
            OURS: lambda: _resync(source, target),
            AT_HAND: lambda: _resync(source, target, manifest),
            RCLONE: lambda: Rclone().seconds(source, of_rclone, FILES, TIMEOUT),
            CHECKSUM: lambda: Rclone(["--checksum"]).seconds(source, of_rclone, FILES, TIMEOUT),
        },
        repeats=3,
    )


def _resync(source: Place, target: Place, manifest: Manifest | None = None) -> float:
    """As the asset does it: what the source holds now is read first, unless it is at hand already.

    Raises `SystemExit` if anything is copied.
    """
    began = perf_counter()
    held = manifest or landing(source).current()
    if held is None or len(held.files) != FILES:
        raise SystemExit("the source does not hold what was seeded")
    report = replicate(landing(source), raw_data(target), held, epoch=1)
    took = perf_counter() - began
    if report.files:
        raise SystemExit(f"{report.files} files were copied again")
    return took


def _times_faster(turns: Turns, work: str, goal: str, peer: str) -> Result:
    """Re-syncs per second, so that more is better and the ratio is the peer's time over ours."""
    return turns.rate(work, goal, peer, 1.0, "re-syncs/s")
