"""Copying a snapshot from one location to another, compared with its manifest as the bytes pass.

Files stream from store to store, several at once and without temporary files. Each is digested on its way, once, and the
put that would store other bytes than the manifest promises is broken off, so nothing wrong is ever shown by the target;
the manifest follows when all files are there, the pointer last. What happens to bytes after the target took them is not
seen here: `integrity` reads them back before anything downstream uses them, `scrub.py` does so again and again, and
`verify` reads what is there before relying on it.

Where the topology lets a location's credentials read another bucket of its cloud, the provider copies by itself, and no
byte passes here. Each such copy is proved before the manifest follows, by the digest that the provider computed of it or by
reading it where it is; one that is refused or wrong is streamed after all.

Two locations never share bytes on disk: a hard link or a reflink would make a copy of nothing, as one bad block would be
bad in both. Within one location nothing is copied at all, for its assets share their blobs.

Which location copies from which, and when, is decided above; what a committed snapshot looks like is in `store.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from decimal import Decimal
from threading import Event, Lock
from time import monotonic

from mcml_assets.domain.egress import EgressPrice, egress_cost
from mcml_assets.domain.errors import CorruptSnapshot, LocationUnavailable, McmlError
from mcml_assets.domain.snapshot import Manifest, SnapshotFile
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets.snapshots.workers import DEFAULT_LIMITS, MemoryBudget, ReplicationLimits, run_all

__all__ = ["CopyReport", "ReplicationLimits", "replicate"]

Progress = Callable[[int, int], object]
"""Called about every second, and at the end, with the bytes that are done and those there are, held ones included."""


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a replication moved, what the target had already, and what it took.

    `server_side_bytes`, of `bytes`, were copied by the provider itself. `retried` counts readings that were damaged and done
    again; `requests` those of all locations together, an upload in parts as one. `egress_bytes` left their location, damaged
    ones too, whoever carried them; `egress_cost` is what they cost in `currency`, and None when a price is unknown. Within
    one location nothing leaves.
    """

    files: int
    bytes: int
    server_side_bytes: int
    skipped_files: int
    skipped_bytes: int
    retried: int
    seconds: float
    requests: int
    egress_bytes: int
    egress_cost: Decimal | None
    currency: str | None

    @property
    def megabytes_per_second(self) -> float:
        """10^6 bytes copied per second, 0 when nothing was."""
        return self.bytes / self.seconds / 1e6 if self.seconds else 0.0


def replicate(
    source: SnapshotStore,
    target: SnapshotStore,
    manifest: Manifest,
    *,
    epoch: int,
    others: Sequence[SnapshotStore] = (),
    limits: ReplicationLimits = DEFAULT_LIMITS,
    verify: bool = False,
    progress: Progress | None = None,
) -> CopyReport:
    """Make `manifest` the target's current snapshot, copying only the files that the target lacks.

    A snapshot that is current already under this epoch takes one request. Otherwise the target's former manifest tells
    what it holds, and only for other files it is asked; with `verify` every file that it holds is read, and copied anew
    if it is damaged. A file that arrives damaged is read again, first from `source`, then from each of `others`, other
    locations of the workload. The manifest keeps its provenance. A crash anywhere leaves the target's former snapshot
    current, and the next call copies the rest.

    Raises `CorruptSnapshot` naming all that were tried when no location has a file whole, `StaleEpoch` when the target
    knows a newer epoch, `PreconditionFailed` when another writer was faster, `TransientError` when a collection took this
    copy for dead, and `LocationUnavailable` naming whichever of the two sides does not answer.
    """
    transfer = _Transfer(source, target, others, manifest, limits, progress)
    former = target.pointer.read_as(epoch)
    if former is not None and former.names(manifest.snapshot_id, epoch) and not verify:
        return transfer.report()
    with target.activity.writing(manifest.needs) as intent:
        stored, promised = target.promises(manifest.snapshot_id, former)
        if source.location == target.location and source.blobs.folder == target.blobs.folder:
            # They share their blobs, which the source's own manifest promises as long as it is stored.
            promised |= source.promises(manifest.snapshot_id, None)[1]
        unique = {file.blob: file for file in manifest.files}
        held = target.held(unique.values(), promised, limits, intent.keep, verify=verify)
        transfer.run([file for blob, file in unique.items() if blob not in held], intent.keep)
        intent.confirm()
        if stored is None:
            target.write_manifest(manifest)
        target.pointer.move(manifest.snapshot_id, epoch, former)
    return transfer.report()


class _Transfer:
    """Brings missing files to the target, and keeps account."""

    def __init__(
        self,
        source: SnapshotStore,
        target: SnapshotStore,
        others: Sequence[SnapshotStore],
        manifest: Manifest,
        limits: ReplicationLimits,
        progress: Progress | None,
    ) -> None:
        self._started = monotonic()
        self._source, self._target, self._others = source, target, others
        self._manifest, self._limits, self._progress = manifest, limits, progress
        # The same object under the same name, in a bucket that the target's credentials may read.
        same_name = source.blobs.folder == target.blobs.folder
        self._by_provider = same_name and source.location in target.blobs.copies_from
        self._stores = {id(store): store for store in (source, target, *others)}.values()
        self._requests = sum(store.requests for store in self._stores)
        self._budget = MemoryBudget(limits.memory_bytes)
        self._stopped = Event()
        self._lock = Lock()
        self._copied: list[int] = []
        self._server_side = 0
        self._moved = 0
        self._retried = 0
        self._sent: Counter[EgressPrice | None] = Counter()

    def run(self, missing: Sequence[SnapshotFile], keep: Callable[[], object]) -> None:
        """Copy these files, several at once; `keep` is called every second."""
        held = self._manifest.size - sum(file.size for file in missing)

        def tick() -> None:
            keep()
            if self._progress is not None:
                # A damaged reading counts twice.
                self._progress(min(held + self._moved, self._manifest.size), self._manifest.size)

        run_all(self._copy, missing, concurrency=self._limits.concurrency, tick=tick, stopped=self._stopped)

    def report(self) -> CopyReport:
        """The account so far."""
        cost = egress_cost(self._sent)
        return CopyReport(
            files=len(self._copied),
            bytes=sum(self._copied),
            server_side_bytes=self._server_side,
            skipped_files=len(self._manifest.files) - len(self._copied),
            skipped_bytes=self._manifest.size - sum(self._copied),
            retried=self._retried,
            seconds=monotonic() - self._started,
            requests=sum(store.requests for store in self._stores) - self._requests,
            egress_bytes=self._sent.total(),
            egress_cost=cost.amount if cost is not None else None,
            currency=cost.currency if cost is not None else None,
        )

    def _copy(self, file: SnapshotFile) -> None:
        if self._by_provider and self._copied_by_provider(file):
            return
        problems: list[str] = []
        with self._budget.reserved_for(file):
            # Bytes may have been damaged on the way, which another reading tells from damage at the source.
            for origin in (self._source, self._source, *self._others):
                try:
                    self._target.blobs.write(file, self._metered(origin, origin.blobs.stored(file)), origin.location)
                except CorruptSnapshot as error:
                    problems.append(str(error))
                except LocationUnavailable as error:
                    # A location that is asked only for help may be down; the error of either side is the copy's.
                    if error.location in (self._source.location, self._target.location):
                        raise
                    problems.append(str(error))
                else:
                    with self._lock:
                        self._copied.append(file.size)
                    return
                with self._lock:
                    self._retried += 1
        with self._lock:
            self._retried -= 1  # the last one was not followed by another
        tried = ", ".join(dict.fromkeys(store.location for store in (self._source, *self._others)))
        raise CorruptSnapshot(f"{'; '.join(dict.fromkeys(problems))}; tried {tried}")

    def _copied_by_provider(self, file: SnapshotFile) -> bool:
        """Whether the provider copied the file by itself, and the copy is proved; otherwise it is to be streamed."""
        try:
            proved = self._target.blobs.copied(file, self._source.location)
        except McmlError:
            return False  # what is wrong with either side, streaming tells by its own error
        with self._lock:
            self._sent[self._source.price] += file.size
            if proved:
                self._copied.append(file.size)
                self._server_side += file.size
                self._moved += file.size
            else:
                self._retried += 1
        return proved

    def _metered(self, origin: SnapshotStore, chunks: Iterator[bytes]) -> Iterator[bytes]:
        leaves = origin.location != self._target.location
        for chunk in chunks:
            if self._stopped.is_set():
                raise CancelledError
            with self._lock:
                self._moved += len(chunk)
                if leaves:
                    self._sent[origin.price] += len(chunk)
            yield chunk
