"""What a user reads, and what the platform does, when a cloud refuses, slows down or falls silent."""

import base64
import hashlib
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic

import pytest

from mcml_assets.clouds import remote_store
from mcml_assets.clouds.capabilities import Capability, capabilities
from mcml_assets.clouds.gcp import store as gcs_store
from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import (
    ConfigurationError,
    CredentialsRejected,
    LocationUnavailable,
    McmlError,
    PreconditionFailed,
    TransientError,
)
from mcml_assets.domain.topology import Location, SecretReference, StoreKind
from mcml_assets_tests.clouds.answering import Service, answering
from mcml_assets_tests.clouds.conftest import REMOTE
from mcml_assets_tests.clouds.emulated_buckets import (
    anonymous_location,
    at_endpoint,
    stranger_key_file,
    with_values,
    without_bucket,
)
from mcml_assets_tests.ports import free_port_range

pytestmark = pytest.mark.live

OPERATIONS: dict[str, Callable[[ObjectStore], object]] = {
    "get": lambda store: store.get("a/b"),
    "get_range": lambda store: store.get_range("a/b", 0, 1),
    "stream": lambda store: list(store.stream("a/b")),
    "head": lambda store: store.head("a/b"),
    "list": lambda store: list(store.list("a")),
    "put": lambda store: store.put("a/b", b"2"),
    "put a stream": lambda store: store.put("a/b", (bytes(5_000_000) for _ in range(4))),
    "put_if_absent": lambda store: store.put_if_absent("a/b", b"2"),
    "put_if_match": lambda store: store.put_if_match("a/b", b"2", "17"),
    "delete": lambda store: store.delete("a/b"),
}
SECRET = base64.b64encode(b"a secret that nobody may ever read").decode()


@pytest.fixture(params=REMOTE)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with answering(request.param, free_port_range(3)) as running:
        yield running


def opened(location: Location) -> ObjectStore:
    return open_store(location, Settings())


def told(location: Location, operation: str) -> McmlError:
    """The error of one operation; it names the location, and neither it nor its traceback holds the secret."""
    store = opened(location)
    with pytest.raises(McmlError) as caught:
        OPERATIONS[operation](store)
    assert location.key in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown + repr(store) + repr(location)
    return caught.value


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_missing_bucket_is_an_outage_with_its_name(remote_location: Location, operation: str):
    """A bucket that does not exist makes its location unavailable, by its name, whatever is asked of it."""
    error = told(without_bucket(remote_location), operation)
    assert isinstance(error, LocationUnavailable)
    assert not isinstance(error, CredentialsRejected)
    assert "does not exist; make it, or correct `bucket`" in str(error)


@pytest.mark.parametrize("operation", ["get", "list", "put a stream"])
def test_an_address_where_nobody_answers_is_an_outage(remote_location: Location, operation: str):
    """Without an answer the location is unavailable within seconds, and the message says what to check."""
    started = monotonic()
    error = told(at_endpoint(remote_location, "http://127.0.0.1:9"), operation)
    assert isinstance(error, LocationUnavailable)
    assert "no answer: nobody accepts the connection; check the endpoint and the network" in str(error)
    assert monotonic() - started < 15


def test_a_service_that_falls_silent_is_an_outage(service: Service, monkeypatch: pytest.MonkeyPatch):
    """A service that takes a request and never answers is given up after the timeout and few tries."""
    monkeypatch.setattr(remote_store, "READ_TIMEOUT", timedelta(seconds=0.3))
    monkeypatch.setattr(gcs_store, "TIMEOUT", (1, 0.3))
    service.delay = 1.5
    for operation in ("get", "put_if_absent"):
        assert isinstance(
            told(anonymous_location(service.kind, service.url, monkeypatch.setenv), operation), LocationUnavailable
        )
    assert len(service.requests) <= 2 * 16


# Status and the service's own code, as each documents it; then the kind of error and what it says.
REFUSALS: dict[StoreKind, list[tuple[int, str, type[McmlError], str]]] = {
    "s3": [
        (503, "SlowDown", TransientError, "asks to slow down"),
        (500, "InternalError", LocationUnavailable, "wait for the provider, or fail over"),
        (403, "RequestTimeTooSkewed", ConfigurationError, "clock is wrong"),
        (400, "AuthorizationHeaderMalformed", ConfigurationError, "in another region"),
        (301, "PermanentRedirect", ConfigurationError, "in another region"),
        (400, "ExpiredToken", CredentialsRejected, "have expired; renew them"),
        (403, "InvalidAccessKeyId", CredentialsRejected, "does not know the credentials"),
        (403, "AccessDenied", CredentialsRejected, "lack a permission"),
        (409, "ConditionalRequestConflict", PreconditionFailed, "somebody else"),
        (412, "PreconditionFailed", PreconditionFailed, "somebody else"),
    ],
    "azure": [
        (503, "ServerBusy", TransientError, "asks to slow down"),
        (500, "InternalError", LocationUnavailable, "wait for the provider, or fail over"),
        (403, "AuthenticationFailed", CredentialsRejected, "does not know the credentials"),
        (403, "AuthorizationPermissionMismatch", CredentialsRejected, "lack a permission"),
        (409, "BlobAlreadyExists", PreconditionFailed, "somebody else"),
        (412, "ConditionNotMet", PreconditionFailed, "somebody else"),
    ],
    "gcs": [
        (429, "rateLimitExceeded", TransientError, "asks to slow down"),
        (503, "backendError", LocationUnavailable, "wait for the provider, or fail over"),
        (401, "authError", CredentialsRejected, "renew the key"),
        (403, "forbidden", CredentialsRejected, "lack a permission"),
        (412, "conditionNotMet", PreconditionFailed, "somebody else"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "status", "code", "expected", "said"),
    [pytest.param(kind, *one, id=f"{kind}-{one[1]}") for kind, refusals in REFUSALS.items() for one in refusals],
)
def test_a_refusal_is_told_by_what_mends_it(
    kind: StoreKind, status: int, code: str, expected: type[McmlError], said: str, monkeypatch: pytest.MonkeyPatch
):
    """Each refusal has one kind of error, which says who can act on it, and a remedy; tries are few."""
    with answering(kind, free_port_range(3)) as service:
        service.status, service.code = status, code
        error = told(anonymous_location(kind, service.url, monkeypatch.setenv), "put_if_absent")
        assert type(error) is expected
        assert said in str(error)
        assert len(service.requests) <= 24


@pytest.mark.parametrize("operation", ["get", "head", "list", "put", "put a stream"])
@pytest.mark.parametrize(("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed"), (400, "")])
def test_the_region_that_a_bucket_is_in_is_named(status: int, code: str, operation: str, monkeypatch: pytest.MonkeyPatch):
    """Whoever names the wrong region of an S3 bucket reads the right one, which S3 tells in a header."""
    with answering("s3", free_port_range(3)) as service:
        service.status, service.code, service.headers = status, code, {"x-amz-bucket-region": "eu-west-1"}
        place = anonymous_location("s3", service.url, monkeypatch.setenv)
        error = told(place, operation)
        assert type(error) is ConfigurationError
        assert "the bucket is in eu-west-1; name that region" in str(error)
        # What cannot be the name of a region, or is the location's own, is not passed on.
        for named in (place.region, f"<b>{SECRET}", ""):
            service.headers = {"x-amz-bucket-region": named}
            assert "the bucket is in eu" not in str(told(place, operation))


def test_wrong_credentials_are_rejected_here_and_nowhere_else(remote_location: Location, monkeypatch: pytest.MonkeyPatch):
    """Credentials that a cloud does not know make this location unavailable to us: another cloud can take over."""
    for operation in ("get", "list", "put", "put_if_match", "delete"):
        error = told(with_wrong_secret(remote_location, monkeypatch), operation)
        assert isinstance(error, CredentialsRejected)
        assert isinstance(error, LocationUnavailable)


def with_wrong_secret(location: Location, monkeypatch: pytest.MonkeyPatch) -> Location:
    """The same location, entered with a secret that its cloud does not know."""
    monkeypatch.setenv("TEST_WRONG", SECRET if location.store.kind != "gcs" else stranger_key_file(location))
    name = {"s3": "secret_access_key", "azure": "account_key", "gcs": "path"}[location.store.kind]
    return with_values(location, {name: SecretReference("TEST_WRONG")})


@pytest.mark.parametrize("kind", [kind for kind in REMOTE if Capability.CHECKSUM_ON_WRITE in capabilities(kind)])
def test_what_is_written_carries_its_checksum(kind: StoreKind, monkeypatch: pytest.MonkeyPatch):
    """Where a kind of store refuses damaged bytes, each write says the digest that the service is to compare."""
    with answering(kind, free_port_range(3)) as service:
        service.status, service.code = 412, "PreconditionFailed"
        with pytest.raises(PreconditionFailed):
            opened(anonymous_location(kind, service.url, monkeypatch.setenv)).put_if_absent("a", b"content")
        headers, body = next((headers, body) for method, _, headers, body in service.requests if method != "GET")
        if kind == "s3":
            assert headers["x-amz-content-sha256"] == hashlib.sha256(b"content").hexdigest()
        else:
            assert b'"crc32c": "' in body
