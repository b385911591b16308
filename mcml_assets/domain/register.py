"""What the register of acting locations holds, and what one of its stores may promise and accept.

The register is CASPaxos (Denis Rystsov, "CASPaxos: Replicated State Machines without logs", 2018, arXiv:1802.07000): one
value per register, changed by functions of the present value, with no log and no leader. Pure: here are the value, the
rules of an acceptor, and their stored form. How a proposer makes use of them is in `proposer.py`; which stores are
asked, and how, in `mcml_assets/register/`.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, cast

from mcml_assets.domain.acting import Acting, initial_acting
from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.domain.snapshot import sealed, unsealed
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Placement

REGISTER_FORMAT = 1
STORES = 3
"""Over how many clouds a register is spread: the least that can lose one."""
REMEMBERED = 64
"""How many changes back the register can tell whether a change was made."""
FIRST_USE = "first use"


class Ballot(NamedTuple):
    """The number of a proposal, compared by counter and then by proposer; no two proposals have the same."""

    counter: int
    proposer: str


NO_BALLOT = Ballot(0, "")


@dataclass(frozen=True, slots=True)
class Entry:
    """The register's value: who is acting, since when (ISO 8601, by the clock of who changed it), by whom and why.

    `request_ids` names the latest changes, the one that made this entry last. Each change grows the epoch by one, so that the
    place of a request tells its epoch. `evacuations` are locations that are not to be chosen; they grow no epoch.
    """

    acting: Acting
    since: str
    who: str
    why: str
    request_ids: tuple[str, ...]
    evacuations: tuple["Evacuation", ...] = ()

    @property
    def evacuated(self) -> frozenset[str]:
        """The locations that no decision chooses."""
        return frozenset(one.location for one in self.evacuations)


@dataclass(frozen=True, slots=True)
class Change:
    """A wish to move the work of a jurisdiction; `request_id` makes it happen once, however often it is asked for."""

    expected: Acting
    location: str
    since: str
    who: str
    why: str
    request_id: str

    @property
    def new(self) -> Acting:
        return Acting(self.location, self.expected.epoch + 1)


@dataclass(frozen=True, slots=True)
class Evacuation:
    """A location that a person took the work from, so that nothing chooses it until it is given back; who, why, since when.

    `whole` tells that it was taken from all workloads at once: giving one of them back does not end that. `since` is
    ISO 8601 in UTC.
    """

    location: str
    whole: bool
    who: str
    why: str
    since: str


@dataclass(frozen=True, slots=True)
class Evacuate:
    """A wish to put an evacuation into force; one that is in force already stays as it is."""

    evacuation: Evacuation


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A wish to let a location be chosen again; `also_whole` ends what was taken from all workloads as well."""

    location: str
    also_whole: bool = False


Wish = Change | Evacuate | GiveBack


@dataclass(frozen=True, slots=True)
class Acceptor:
    """What one store holds: the highest ballot promised, and the entry it accepted last, with its ballot.

    `members` are the stores of the register, which are fixed when it is first used: a majority of other stores could
    know nothing of what was decided. Every write grows a ballot, so no two states of an acceptor are equal, and a
    conditional put that compares content is as good as one that compares versions.
    """

    members: tuple[str, ...]
    promised: Ballot = NO_BALLOT
    accepted: Ballot = NO_BALLOT
    entry: Entry | None = None

    def to_json(self) -> bytes:
        """The stored form."""
        return sealed({"format": REGISTER_FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, data: bytes) -> "Acceptor":
        """Read a stored acceptor. Raises `CorruptSnapshot` for broken JSON, an unknown format or fields that lack."""
        document = unsealed(data, "register", REGISTER_FORMAT)
        # A seal under a damaged name would be taken for none at all.
        if document.keys() != {"format", "members", "promised", "accepted", "entry"}:
            raise CorruptSnapshot(f"register does not have the expected fields, but {', '.join(sorted(document))}")
        try:
            entry = document["entry"]
            return cls(
                members=tuple(document["members"]),
                promised=Ballot(*document["promised"]),
                accepted=Ballot(*document["accepted"]),
                entry=_entry(cast("dict[str, Any]", entry)) if entry is not None else None,
            )
        except (TypeError, KeyError, ValueError) as error:
            raise CorruptSnapshot(f"register does not have the expected fields: {error}") from error


def prepare(acceptor: Acceptor, ballot: Ballot) -> Acceptor | None:
    """The acceptor after a promise to accept nothing below `ballot`; None when it promised more already."""
    if ballot < acceptor.promised:
        return None
    return replace(acceptor, promised=ballot)


def accept(acceptor: Acceptor, ballot: Ballot, entry: Entry) -> Acceptor | None:
    """The acceptor after it accepted the entry; None when it promised a higher ballot."""
    if ballot < acceptor.promised:
        return None
    return replace(acceptor, promised=ballot, accepted=ballot, entry=entry)


def first_entry(placement: Placement, since: str, who: str) -> Entry:
    """The entry of a register that was never used: the primary acts, in the first epoch."""
    return Entry(initial_acting(placement), since, who, "first use: the placement's primary", (FIRST_USE,))


def changed(current: Entry, change: Wish | None) -> Entry:
    """The entry after the change; the same one when it is not lawful any more, was made already, or there is none."""
    if change is None or made(current, change):
        return current
    if isinstance(change, Evacuate):
        return replace(current, evacuations=(*current.evacuations, change.evacuation))
    if isinstance(change, GiveBack):
        return replace(current, evacuations=tuple(one for one in current.evacuations if not _ends(change, one)))
    if current.acting != change.expected or change.location in current.evacuated:
        return current
    request_ids = (*current.request_ids, change.request_id)[-REMEMBERED:]
    return Entry(change.new, change.since, change.who, change.why, request_ids, current.evacuations)


def made(current: Entry, change: Wish) -> bool:
    """Whether the present entry is, or came after, the one that this change made; False if longer ago than is remembered.

    An evacuation has no memory of its own: it is made while it is in force, and given back while it is not, whoever did it.
    """
    if isinstance(change, Evacuate):
        wished = change.evacuation
        return any((one.location, one.whole) == (wished.location, wished.whole) for one in current.evacuations)
    if isinstance(change, GiveBack):
        return not any(_ends(change, one) for one in current.evacuations)
    back = current.acting.epoch - change.new.epoch
    return 0 <= back < len(current.request_ids) and current.request_ids[-1 - back] == change.request_id


def majority(members: tuple[str, ...]) -> int:
    """How many of the stores must agree: any two majorities share a store."""
    return len(members) // 2 + 1


def register_stores(placement: Placement, topology: Topology) -> tuple[str, ...]:
    """The locations whose buckets hold the register of a placement: one per cloud, of three clouds where there are so many.

    The placement's own locations come first. A cloud it does not use is a witness, from the same jurisdiction if
    possible: the register holds no personal data, and without it a placement in two clouds could lose neither.
    """
    placed = [entry.location for entry in placement.locations]
    others = sorted(topology.locations.values(), key=lambda other: other.jurisdiction != placement.jurisdiction)
    by_cloud: dict[str, str] = {}
    for location in (*placed, *others):
        by_cloud.setdefault(location.cloud, location.key)
    return tuple(sorted(list(by_cloud.values())[:STORES]))


def _ends(wish: GiveBack, evacuation: Evacuation) -> bool:
    return evacuation.location == wish.location and (wish.also_whole or not evacuation.whole)


def _entry(fields: dict[str, Any]) -> Entry:
    acting = Acting(**fields.pop("acting"))
    evacuations = tuple(Evacuation(**one) for one in fields.pop("evacuations", ()))
    if type(acting.epoch) is not int:
        raise ValueError(f"epoch {acting.epoch!r} is not a whole number")
    return Entry(acting=acting, request_ids=tuple(fields.pop("request_ids")), evacuations=evacuations, **fields)
