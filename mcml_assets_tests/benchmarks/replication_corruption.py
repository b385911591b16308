"""What is accepted of a thousand bodies that are damaged on their way; how they are damaged is in `damaging_proxy.py`.

A blob is named by its digest, so whatever a copy leaves behind can be judged without asking who made it.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import obstore
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import BaseError

from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.digest import DEFAULT_DIGEST, new_digest
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.benchmarks.replication_peers import CONCURRENCY, Rclone, boto3_client, run_s5cmd
from mcml_assets_tests.benchmarks.replication_places import Absent, EmulatedBuckets, Place, local_folders, scratch
from mcml_assets_tests.benchmarks.replication_work import BLOBS, KIB, WORKLOAD, blob_keys, landing, seed
from mcml_assets_tests.benchmarks.report import Result
from mcml_assets_tests.clouds.damaging_proxy import damaging_proxy
from mcml_assets_tests.clouds.emulated_buckets import at_endpoint
from mcml_assets_tests.ports import free_ports

SIZES = [64 * KIB] * 800 + [1280 * KIB] * 200
"""The larger ones pass the engine as streams."""
TIMEOUT = 180.0
Blob = tuple[str, bytes]


def corrupted_in_flight(emulators: EmulatedBuckets) -> list[Result]:
    """The first body of each of 1,000 objects in S3 is damaged; counted is what is left damaged where it arrived."""
    direct = emulators.new("s3")
    manifest = seed(direct, SIZES)
    location = direct.location
    if location is None:
        raise TypeError("a bucket on an emulator has a location")
    with damaging_proxy(free_ports(1)[0], emulators.emulators.endpoints["s3"], f"/{BLOBS}/") as damage:
        source = emulators.at(at_endpoint(location, damage.url))

        def accepted(copy: Callable[[Place, Manifest], Iterable[Blob]]) -> int:
            damage.start_over(times=1)
            wrong = sum(_digest(body) != key.rpartition("/")[2] for key, body in copy(source, manifest))
            if damage.done.total() < len(SIZES):
                raise SystemExit(f"only {damage.done.total()} of {len(SIZES)} bodies were damaged")
            return wrong

        ours = accepted(_engine)
        return [_row(name, ours, lambda copy=copy: accepted(copy)) for name, copy in PEERS.items()]


def _digest(body: bytes) -> str:
    digest = new_digest(DEFAULT_DIGEST)
    digest.update(body)
    return digest.hexdigest()


def _row(name: str, ours: int, peer: Callable[[], int]) -> Result:
    work = "1,000 bodies corrupted in flight: accepted"
    try:
        return Result(f"{work}, against {name}", "ours <= 0", ours, peer(), "files")
    except Absent as absent:
        return Result(f"{work}, against {name} (absent: {absent})", "ours <= 0", ours, None, "files")


def _engine(source: Place, manifest: Manifest) -> Iterator[Blob]:
    target = MemoryStore("memory/target")
    report = replicate(landing(source), SnapshotStore(target, WORKLOAD, "raw_data"), manifest, epoch=1)
    if report.files != len(SIZES):
        raise SystemExit(f"only {report.files} of {len(SIZES)} files arrived")
    return ((meta.key, target.get(meta.key)) for meta in target.list(BLOBS))


def _rclone(source: Place, manifest: Manifest) -> list[Blob]:
    with local_folders() as folders:
        target = folders.new()
        Rclone().run(source, target, len(SIZES), TIMEOUT)
        return [(meta.key, target.store.get(meta.key)) for meta in target.store.list(BLOBS)]


def _s5cmd(source: Place, manifest: Manifest) -> list[Blob]:
    with scratch() as folder:
        run_s5cmd(source, folder)
        return [(path.name, path.read_bytes()) for path in folder.rglob("*") if path.is_file()]


def _boto3(source: Place, manifest: Manifest) -> Iterator[Blob]:
    client, location = boto3_client(source), source.location
    if location is None:
        raise TypeError("a bucket on an emulator has a location")
    return _read(
        lambda key: client.get_object(Bucket=location.bucket, Key=key)["Body"].read(), (BotoCoreError, ClientError), manifest
    )


def _obstore(source: Place, manifest: Manifest) -> Iterator[Blob]:
    return _read(lambda key: bytes(obstore.get(source.client, key).bytes()), (BaseError, OSError), manifest)


def _read(get: Callable[[str], bytes], refusals: tuple[type[Exception], ...], manifest: Manifest) -> Iterator[Blob]:
    """Everything that a library hands out; what it refuses with an error is not accepted."""

    def one(key: str) -> Blob | None:
        try:
            return key, get(key)
        except refusals:
            return None

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        yield from (blob for blob in pool.map(one, blob_keys(manifest)) if blob is not None)


PEERS: dict[str, Callable[[Place, Manifest], Iterable[Blob]]] = {
    "rclone copy": _rclone,
    "s5cmd cp": _s5cmd,
    "boto3, no CRC stored": _boto3,
    "bare obstore": _obstore,
}
