"""Where a person took the work from: such a location is chosen by no automatism until it is given back.

One file of the control plane, replaced whole under a lock. What an evacuated location means for a decision is
`domain/failover.py`'s business.
"""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.serving.folder import write_atomically

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Evacuation:
    """A location that is not to act, for one workload in one jurisdiction or (both None) for all; who, why, and when.

    `at` is ISO 8601 in UTC.
    """

    location: str
    workload: str | None
    jurisdiction: str | None
    who: str
    why: str
    at: str

    def concerns(self, workload: str, jurisdiction: str) -> bool:
        """Whether it is about this workload in this jurisdiction."""
        return (self.workload, self.jurisdiction) in ((None, None), (workload, jurisdiction))


def evacuated(settings: Settings, workload: str, jurisdiction: str) -> frozenset[str]:
    """The locations that are not to act for a workload in a jurisdiction. Raises as `read_evacuations` does."""
    return frozenset(one.location for one in read_evacuations(settings) if one.concerns(workload, jurisdiction))


def read_evacuations(settings: Settings) -> tuple[Evacuation, ...]:
    """All that are in force. Raises `ConfigurationError` naming the file when it is unreadable."""
    path = _file(settings)
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ConfigurationError(f"it has format {document['format']!r}, this version reads {FORMAT}")
        return tuple(Evacuation(**entry) for entry in document["evacuations"])
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (ConfigurationError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{path} does not list evacuations: {error}; remove it to give all locations back") from error


def evacuate(settings: Settings, evacuation: Evacuation) -> None:
    """Put an evacuation into force; the same place a second time replaces the first."""
    with _changing(settings) as (former, path):
        kept = [one for one in former if _place(one) != _place(evacuation)]
        _write(path, [*kept, evacuation])


def give_back(settings: Settings, location: str, workload: str, jurisdiction: str) -> bool:
    """Let a location act again for a workload in a jurisdiction; returns whether it had been taken away just there.

    An evacuation of the whole location stays: `give_all_back` ends it.
    """
    with _changing(settings) as (former, path):
        kept = [one for one in former if _place(one) != (location, workload, jurisdiction)]
        _write(path, kept)
    return len(kept) < len(former)


def give_all_back(settings: Settings, location: str) -> int:
    """Let a location act again for everybody; returns how many evacuations of it ended."""
    with _changing(settings) as (former, path):
        kept = [one for one in former if one.location != location]
        _write(path, kept)
    return len(former) - len(kept)


def _place(evacuation: Evacuation) -> tuple[str, str | None, str | None]:
    return evacuation.location, evacuation.workload, evacuation.jurisdiction


@contextmanager
def _changing(settings: Settings) -> Iterator[tuple[tuple[Evacuation, ...], Path]]:
    """What is in force, while nobody else changes it."""
    path = _file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield read_evacuations(settings), path


def _write(path: Path, evacuations: Sequence[Evacuation]) -> None:
    document = {"format": FORMAT, "evacuations": [asdict(evacuation) for evacuation in evacuations]}
    write_atomically(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _file(settings: Settings) -> Path:
    return settings.home / "evacuations.json"
