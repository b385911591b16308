"""`mcml doctor`: does every location do what the platform relies on, with the credentials that the platform has?

Each location is written to, read, and cleaned up again, under one key that nothing else uses; its provider is asked how
the bucket is protected. Examining is here, printing in `commands/doctor.py`; how a provider is asked is `clouds/`'s business.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import cast

import httpx

from mcml_assets.clouds.fault_plan import list_faults
from mcml_assets.clouds.inspection import BucketInspector, Fact
from mcml_assets.clouds.interfaces import CopyingStore, ObjectMeta, ObjectStore
from mcml_assets.clouds.registry import inspector, open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.doctor.checks import Check, State
from mcml_assets.doctor.endpoints import endpoint_checks
from mcml_assets.doctor.infrastructure import infrastructure_check
from mcml_assets.domain.errors import (
    ConfigurationError,
    McmlError,
    ObjectNotFound,
    PreconditionFailed,
)
from mcml_assets.domain.topology import Location

# Requests are signed with the time, and refused from 5 minutes (Azure, Google: 15 on S3) on; clocks that are this far
# apart already make ages and lags untrue.
SKEW_WARNING_SECONDS = 5.0
SKEW_ERROR_SECONDS = 60.0
PROBE = "mcml-doctor-"
CONCURRENT = 9


class Verdict(StrEnum):
    """What is true of a whole location, the worst last; each has its exit code."""

    OK = "ok"
    PROBLEMS = "problems"
    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found in one location."""

    location: str
    jurisdiction: str
    store: str
    bucket: str
    verdict: Verdict
    checks: tuple[Check, ...]


def examine_all(locations: Sequence[Location], settings: Settings, outputs: Path | None = None) -> list[Examination]:
    """Examine all locations at the same time; results in their order. Raises nothing about a location."""
    with ThreadPoolExecutor(CONCURRENT, thread_name_prefix="doctor") as pool:
        return list(pool.map(lambda location: examine(location, settings, outputs), locations))


def examine(location: Location, settings: Settings, outputs: Path | None = None) -> Examination:
    """Examine one location, and leave nothing behind; `outputs` is the folder of what Terraform says it made. Raises nothing
    about the location.
    """
    checks: list[Check] = []
    verdict = Verdict.OK
    try:
        asked = inspector(location)
        checks.append(_clock(asked))
        checks.extend(_examine_bucket(location, open_store(location, settings), asked, settings))
    except ConfigurationError as error:
        verdict = Verdict.MISCONFIGURED
        checks.append(Check("reach", State.ERROR, str(error), "correct the topology or the variable that it names"))
    except McmlError as error:
        verdict = Verdict.UNREACHABLE
        checks.append(Check("reach", State.ERROR, str(error), _reach_remedy(location)))
    checks.extend(endpoint_checks(location))
    if outputs is not None:
        checks.append(infrastructure_check(location, outputs))
    if verdict is Verdict.OK and any(check.state in (State.ERROR, State.UNKNOWN) for check in checks):
        verdict = Verdict.PROBLEMS
    return Examination(location.key, location.jurisdiction, location.store.kind, location.bucket, verdict, tuple(checks))


def planned_faults(locations: Sequence[Location], settings: Settings) -> list[str]:
    """The faults that are set on purpose for these locations: nobody should look for the cause of a drill."""
    try:
        faults = list_faults(settings)
    except ConfigurationError:
        return []  # each location says so itself
    return [fault.describe() for fault in faults if any(fault.concerns(location.key) for location in locations)]


def worst(examinations: Sequence[Examination]) -> Verdict:
    """The worst verdict; ok for none."""
    order = list(Verdict)
    return max((each.verdict for each in examinations), key=order.index, default=Verdict.OK)


def _examine_bucket(location: Location, store: ObjectStore, asked: BucketInspector, settings: Settings) -> Iterator[Check]:
    """Raises `ConfigurationError` when the bucket cannot be asked, another error when it cannot be reached."""
    key = f"{PROBE}{secrets.token_hex(8)}"
    try:
        store.head(key)
    except ObjectNotFound:
        yield Check("reach", State.OK, f"bucket {location.bucket} answers")
    content = secrets.token_bytes(1024)
    try:
        written = _attempt("write", lambda: _write(store, key, content), location)
        yield written
        # What cannot be written cannot be asked anything else; that it was not asked is no pass of the location.
        if written.state is State.OK:
            yield _attempt("read", lambda: _read_back(store, key, content), location)
            yield _attempt("conditional_create", lambda: _second_create(store, key), location)
            yield _attempt("conditional_update", lambda: _stale_update(store, key), location)
            for origin in location.copies_from.values():
                yield _attempt("copies_from", partial(_copied, store, origin, key, settings), location)
            protection = asked.protection(key)
            yield _protection("region", protection.region)
            yield _protection("encryption", protection.encryption)
            yield _protection("versioning", protection.versioning)
            yield _protection("public_access", protection.public_access)
    finally:
        # Also when a question failed: the probe must not stay.
        deleted = _attempt("delete", lambda: _delete(store, key), location)
        left = asked.purge(key)
    if written.state is State.OK:
        yield deleted
    if left:
        yield Check(
            "cleanup", State.WARNING, f"{left} old versions of {key} stay",
            f"allow the location to delete versions of {PROBE}*, or let a lifecycle rule expire old versions",
        )  # fmt: skip


def _write(store: ObjectStore, key: str, content: bytes) -> str:
    store.put(key, content)
    return "an object was written"


def _read_back(store: ObjectStore, key: str, content: bytes) -> str:
    digest, wanted = hashlib.sha256(store.get(key)).hexdigest(), hashlib.sha256(content).hexdigest()
    if digest != wanted:
        raise _Wrong(f"read back with digest {digest[:12]}, written with {wanted[:12]}", "do not use this store")
    return f"read back with the digest it was written with, {digest[:12]}"


class _Wrong(Exception):
    """A store answers, but not what it must."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.remedy = remedy


def _second_create(store: ObjectStore, key: str) -> str:
    return _refused("creating a key that is taken", lambda: store.put_if_absent(key, secrets.token_bytes(18)))


def _stale_update(store: ObjectStore, key: str) -> str:
    # From the version that was read to a new one; then the first is stale.
    stale = store.head(key).etag
    store.put_if_match(key, secrets.token_bytes(16), stale)
    return _refused("an update of a version that is gone", lambda: store.put_if_match(key, secrets.token_bytes(17), stale))


def _refused(what: str, write: Callable[[], ObjectMeta]) -> str:
    try:
        write()
    except PreconditionFailed:
        return f"{what} was refused"
    raise _Wrong(
        f"{what} was accepted",
        "two writers would destroy each other's work: use a service that honours If-Match and If-None-Match",
    )


def _copied(store: ObjectStore, origin: Location, key: str, settings: Settings) -> str:
    """Have the provider copy an object that the other location writes; with the other location's own credentials."""
    source, content = open_store(origin, settings), secrets.token_bytes(1024)
    source.put(key, content)
    try:
        cast("CopyingStore", store).copy_from(origin.key, key, len(content))
        right = store.get(key) == content
    except McmlError as error:
        raise _Wrong(
            f"the provider refuses to copy from {origin.key}: {error}",
            f"let this location's identity read the objects of {origin.bucket}, or take {origin.key} out of `copies_from`; "
            "until then every byte passes this machine",
        ) from None
    finally:
        source.delete(key)
        inspector(origin).purge(key)
    if not right:
        raise _Wrong(f"what the provider copied from {origin.key} is something else", "do not use `copies_from` here")
    return f"the provider copies from {origin.key} by itself"


def _delete(store: ObjectStore, key: str) -> str:
    store.delete(key)
    try:
        store.head(key)
    except ObjectNotFound:
        return "the object is gone"
    raise _Wrong("a deleted object is still there", "look for a retention policy or legal hold on the bucket")


def _attempt(name: str, act: Callable[[], str], location: Location) -> Check:
    try:
        return Check(name, State.OK, act())
    except _Wrong as wrong:
        return Check(name, State.ERROR, str(wrong), wrong.remedy)
    except McmlError as error:
        return Check(name, State.ERROR, str(error), _grant_remedy(location))


def _protection(name: str, fact: Fact) -> Check:
    states = {"on": State.OK, "off": State.ERROR, "unknown": State.UNKNOWN, "not_applicable": State.NOT_APPLICABLE}
    return Check(name, states[fact.state], fact.detail, fact.remedy)


def _clock(asked: BucketInspector) -> Check:
    """How far this machine's clock is from the service's, by the date of an answer to nobody in particular."""
    if asked.address is None:
        return Check("clock", State.NOT_APPLICABLE, "there is no other clock")
    try:
        skew = clock_skew(asked.address)
    except (httpx.HTTPError, ValueError) as error:
        return Check("clock", State.UNKNOWN, f"the service does not tell its time: {type(error).__name__}", "see `reach`")
    state = State.ERROR if abs(skew) > SKEW_ERROR_SECONDS else State.WARNING if abs(skew) > SKEW_WARNING_SECONDS else State.OK
    detail = f"the service's clock is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}"
    return Check("clock", state, detail, None if state is State.OK else "sudo timedatectl set-ntp true")


def clock_skew(address: str) -> float:
    """Seconds that the service's clock is ahead of this machine's, exact to about one second.

    Raises `httpx.HTTPError` when there is no answer, `ValueError` for one without a date.
    """
    began, ticks = datetime.now(UTC), time.monotonic()
    answer = httpx.head(address, timeout=10, follow_redirects=False)
    middle = began.timestamp() + (time.monotonic() - ticks) / 2
    # A date is cut to whole seconds, so half of one is missing on average.
    return parsedate_to_datetime(answer.headers.get("date", "")).timestamp() + 0.5 - middle


def _reach_remedy(location: Location) -> str:
    bucket, account, region = location.bucket, location.store.account, location.region
    endpoint = location.store.endpoint
    match location.store.kind:
        case "s3":
            where = f"--region {region}" if endpoint is None else f"--endpoint-url {endpoint}"
            return f"look at it with `aws s3api head-bucket --bucket {bucket} {where}`"
        case "gcs" | "azure" if endpoint is not None:
            return f"see whether the service at {endpoint} runs, and has the bucket {bucket}"
        case "gcs":
            return f"look at it with `gcloud storage buckets describe gs://{bucket}`"
        case "azure":
            return f"look at it with `az storage container show --account-name {account} --name {bucket} --auth-mode login`"
        case "local":
            return "bring the folder of the bucket back, from a backup or by `make clean` and a new start"


def _grant_remedy(location: Location) -> str:
    match location.store.kind:
        case "s3":
            return f"allow s3:GetObject, s3:PutObject and s3:DeleteObject on arn:aws:s3:::{location.bucket}/*"
        case "gcs":
            return (
                f"gcloud storage buckets add-iam-policy-binding gs://{location.bucket} "
                "--role roles/storage.objectUser --member serviceAccount:<the location's account>"
            )
        case "azure":
            return f"assign 'Storage Blob Data Contributor' on the container {location.bucket} of {location.store.account}"
        case "local":
            return "let the owner read, write and enter the folder of the bucket: chmod u+rwx"
