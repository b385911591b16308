"""Where a location's Feast repositories are, which one is current, and how that changes. Plain files, nothing of Feast.

What is inside a repository is `feast_store.py`'s business.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ObjectNotFound

KEPT_REPOSITORIES = 2
CURRENT = "current.json"
COMPLETE = "repository.json"


@dataclass(frozen=True, slots=True)
class FeastRepository:
    """One Feast repository: its folder, and the feature snapshot and workload it was built from."""

    folder: Path
    snapshot_id: str
    workload: str


def repositories_folder(settings: Settings, location_key: str, workload_name: str) -> Path:
    """`<location folder>/feast/<workload>`: holds the repositories and `current.json`."""
    return settings.location_folder(location_key) / "feast" / workload_name


def current_repository(folder: Path) -> FeastRepository:
    """The repository that `current.json` names in `folder` (see `repositories_folder`).

    Raises `ObjectNotFound` when nothing was published there.
    """
    try:
        pointer = json.loads((folder / CURRENT).read_bytes())
    except FileNotFoundError:
        raise ObjectNotFound(f"no features of {folder.name} were published in {folder.parent.parent}") from None
    return FeastRepository(folder / pointer["repository"], pointer["snapshot_id"], folder.name)


def switch(parent: Path, repository: FeastRepository) -> None:
    """Make it the current one; readers find the old or the new, never none."""
    os.utime(repository.folder / COMPLETE)  # "old" counts from when a repository was last made current
    _write_atomically(parent / CURRENT, {"snapshot_id": repository.snapshot_id, "repository": repository.folder.name})


def mark_complete(repository: FeastRepository) -> None:
    """The last step of a build: a folder without this mark is the remains of one that was killed."""
    _write_atomically(repository.folder / COMPLETE, {"snapshot_id": repository.snapshot_id})


def is_complete(repository: FeastRepository) -> bool:
    """Whether the repository was built to its end."""
    return (repository.folder / COMPLETE).exists()


def _write_atomically(file: Path, document: Mapping[str, str]) -> None:
    """Readers see the old content or the new, never a part, also after a power cut."""
    temporary = file.with_suffix(".new")
    with temporary.open("w") as stream:
        json.dump(document, stream, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, file)


def remove_old(parent: Path, keep: Path) -> None:
    """Leave the current repository and the one that was current before it. Needs the publisher's lock."""
    complete = sorted(parent.glob(f"*/{COMPLETE}"), key=lambda marker: marker.stat().st_mtime_ns, reverse=True)
    others = [marker.parent for marker in complete if marker.parent != keep]
    unfinished = [folder for folder in parent.iterdir() if folder.is_dir() and not (folder / COMPLETE).exists()]
    for folder in [*others[KEPT_REPOSITORIES - 1 :], *unfinished]:
        shutil.rmtree(folder)


@contextmanager
def only_publisher(parent: Path) -> Iterator[None]:
    """Two runs never build in one folder at the same time; the lock goes with the process that holds it."""
    with (parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
