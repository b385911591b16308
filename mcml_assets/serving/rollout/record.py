"""Files of rollouts: the record that the data plane keeps of each, and the order that somebody gives about one.

Only the data plane writes records, so what a person wants is a file of its own, which waits where no data plane runs. What
a record means is `domain/rollout.py`'s business.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.rollout import Phase, Rollout, RolloutEvent
from mcml_assets.serving.folder import DataPlaneFolder, write_atomically
from mcml_assets.serving.manifest import read_plan

Verb = Literal["start", "resume", "abort"]
VERBS: tuple[Verb, ...] = get_args(Verb)
RECORD_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants of a rollout: `start` it again from the first step, `resume` it at the step where it was stopped,
    or `abort` it; who, and why.
    """

    verb: Verb
    who: str
    reason: str

    def sentence(self) -> str:
        """For the record."""
        return f"{self.who}: {self.verb}, {self.reason}"


def write_record(folder: DataPlaneFolder, rollout: Rollout) -> None:
    """Keep a rollout's record."""
    path = folder.endpoint("rollout", f"{rollout.workload}@{rollout.location}")
    write_atomically(path, json.dumps({"format": RECORD_FORMAT, **asdict(rollout)}, indent=1))


def read_record(folder: DataPlaneFolder, name: str) -> Rollout | None:
    """The record of an endpoint's last rollout, None when it had none. Raises `ConfigurationError` for a damaged one."""
    path = folder.endpoint("rollout", name)
    try:
        document = json.loads(path.read_bytes())
        if document.pop("format") != RECORD_FORMAT:
            raise ValueError(f"it does not have format {RECORD_FORMAT}")
        events = tuple(RolloutEvent(**{**event, "phase": Phase(event["phase"])}) for event in document["events"])
        plan, phase = read_plan(document["plan"]), Phase(document["phase"])
        return Rollout(**{**document, "plan": plan, "phase": phase, "events": events})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no record of a rollout: {type(error).__name__} {error}") from error


def read_records(folder: DataPlaneFolder) -> Iterator[Rollout]:
    """The last rollout of each endpoint, by name. Raises `ConfigurationError` as `read_record` does."""
    for file in sorted((folder.path / "rollout").glob("*/*__*.json")):
        record = read_record(folder, _name(file))
        if record is not None:
            yield record


def give_order(folder: DataPlaneFolder, name: str, order: Order) -> None:
    """Leave an order for the data plane, which takes it up within a second while one runs; the last one counts."""
    write_atomically(folder.endpoint("order", name), json.dumps(asdict(order)))


def take_order(folder: DataPlaneFolder, name: str) -> Order | None:
    """The order that waits for an endpoint, once. Raises `ConfigurationError` for a file that holds none, and removes it."""
    path = folder.endpoint("order", name)
    try:
        document: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        path.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} is no order: {error}") from error
    path.unlink(missing_ok=True)
    try:
        order = Order(**document)
    except TypeError as error:
        raise ConfigurationError(f"{path} is no order: {error}") from error
    if order.verb not in VERBS:
        raise ConfigurationError(f"{path} orders {order.verb!r}; known are {', '.join(VERBS)}")
    return order


def _name(file: Path) -> str:
    cloud, _, region = file.stem.partition("__")
    return f"{file.parent.name}@{cloud}/{region}"
