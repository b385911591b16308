"""What Envoy has counted of each location since it started, and between two moments: requests, failures, times.

One read of Envoy's admin interface, which answers with Dagster stopped; what is counted is `attempts.py`'s, and what
follows from it the caller's.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import TransientError
from mcml_assets.serving.edge.attempts import HISTOGRAM, PREFIX
from mcml_assets.serving.edge.copies import COPIES
from mcml_assets.serving.edge.watched import HOST

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

METRIC = f"envoy_{PREFIX}_{HISTOGRAM}"
SECONDS = 2.0
# Of an attempt without an answer, as Envoy flags it: the connection failed or broke, the server reset it, or Envoy did.
BROKEN = frozenset({"UF", "UC", "UR", "LR", "UPE"})
TIMED_OUT = "UT"


@dataclass(frozen=True, slots=True)
class LocationTraffic:
    """Attempts of one server of a location (`port`; a rollout has two) to answer a route's predictions, all growing.

    `failed` is 5xx and connections that broke. `given_up` had no answer within the hedge's time before another location
    had one: a frozen location shows here alone. Neither counts refusals (4xx), nor an attempt that was merely outrun.
    `at_most` counts attempts by their milliseconds, cumulative as in Prometheus; its last bound is infinity.
    """

    workload: str
    jurisdiction: str
    location: str
    port: int
    requests: int = 0
    failed: int = 0
    given_up: int = 0
    at_most: Mapping[float, int] = field(default_factory=dict[float, int])

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What it is counted for."""
        return self.workload, self.jurisdiction, self.location, self.port

    def slower_than(self, milliseconds: float) -> int:
        """How many took longer. Between two bounds of the histogram, the next higher one is asked: none is blamed for less."""
        return self.requests - next((count for bound, count in sorted(self.at_most.items()) if bound >= milliseconds), 0)

    def quantile(self, share: float) -> float | None:
        """The milliseconds within which this share (0 to 1) was answered, as Prometheus interpolates; None without any."""
        wanted, below, counted = share * self.requests, 0.0, 0
        for bound, count in sorted(self.at_most.items()):
            if count >= wanted and count > counted:
                # Nobody knows how far past the last finite bound it was.
                return below if bound == float("inf") else below + (bound - below) * (wanted - counted) / (count - counted)
            below, counted = bound, count
        return None


def traffic_counts(settings: Settings) -> tuple[LocationTraffic, ...]:
    """The counts of every server that was ever asked, up to a second ago. Raises `TransientError` where Envoy is silent."""
    return read_counts(exposed_counts(settings))


def exposed_counts(settings: Settings) -> str:
    """What Envoy exposes, for `read_counts`. Raises as `traffic_counts` does."""
    import httpx  # noqa: PLC0415 - only who asks

    address = f"http://{HOST}:{settings.edge_admin_port}/stats/prometheus"
    try:
        answer = httpx.get(address, params={"filter": f"^{PREFIX}"}, timeout=SECONDS, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        raise TransientError(f"the edge's counts cannot be read at {address}: {type(error).__name__}") from error
    return answer.text


def read_counts(text: str, *, copies: bool = False) -> tuple[LocationTraffic, ...]:
    """The counts in what Envoy exposes, in the order of workload, jurisdiction, location and port: of what callers asked, or
    of the copies of that, whose answers nobody got.
    """
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - only who asks

    attempts: dict[tuple[str, str, str], list[Sample]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name == METRIC else ():
            if sample.labels["route"].startswith(f"{COPIES}.") is not copies:
                continue
            attempts[sample.labels["route"], sample.labels["location"], sample.labels["port"]].append(sample)
    return tuple(sorted((_counted(*key, samples) for key, samples in attempts.items()), key=lambda counts: counts.key))


def traffic_between(before: Sequence[LocationTraffic], after: Sequence[LocationTraffic]) -> tuple[LocationTraffic, ...]:
    """What was counted in between. Where a count shrank Envoy was restarted, and all of the later one is new."""
    former = {counts.key: counts for counts in before}
    return tuple(_grown(former.get(counts.key), counts) for counts in after)


def _counted(route: str, location: str, port: str, samples: "Sequence[Sample]") -> LocationTraffic:
    # A route's name, which that of its copies holds between others.
    workload, jurisdiction = route.removeprefix(f"{COPIES}.").split(".")[:2]
    requests = failed = given_up = 0
    at_most: dict[float, int] = defaultdict(int)
    for sample in samples:
        status, flags = int(sample.labels["status"]), set(sample.labels["flags"].split(","))
        broken = status >= 500 or (status == 0 and bool(flags & BROKEN))
        timed_out = status == 0 and not broken and TIMED_OUT in flags
        if status == 0 and not broken and not timed_out:
            continue
        count = int(sample.value)
        if sample.name.endswith("_bucket"):
            at_most[float(sample.labels["le"])] += count
        elif sample.name.endswith("_count"):
            requests += count
            failed += count * broken
            given_up += count * timed_out
    return LocationTraffic(workload, jurisdiction, location, int(port), requests, failed, given_up, dict(at_most))


def _grown(before: LocationTraffic | None, after: LocationTraffic) -> LocationTraffic:
    if before is None or before.requests > after.requests:
        return after
    return replace(
        after,
        requests=after.requests - before.requests,
        failed=after.failed - before.failed,
        given_up=after.given_up - before.given_up,
        at_most={bound: count - before.at_most.get(bound, 0) for bound, count in after.at_most.items()},
    )
