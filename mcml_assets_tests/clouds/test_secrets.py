"""Whatever goes wrong with whatever credentials: no secret is in an error, its traceback, a log, an output or a repr."""

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import escape
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mcml_assets.clouds.faulty import FaultyStore
from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.topology import Credentials, Location, SecretReference, StoreAccess, StoreKind
from mcml_assets_tests.clouds.answering import Service, answering
from mcml_assets_tests.ports import free_port_range

pytestmark = pytest.mark.live

DEAD = "http://127.0.0.1:9"
PLANTED = "PLANTEDsecretPLANTED"
ENCODED = base64.b64encode(f"{PLANTED} in base64".encode()).decode()
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Entry:
    """One way to enter one kind of store: the secret values of its method, and what of them must never be seen.

    `travels` where the secret itself is part of each request, which a service may repeat.
    """

    kind: StoreKind
    method: str
    secrets: Mapping[str, str]
    hidden: tuple[str, ...]
    travels: bool = False


ENTRIES = {
    "s3 keys": Entry("s3", "keys", {"access_key_id": "AKIAVISIBLE", "secret_access_key": PLANTED}, (PLANTED,)),
    "s3 session": Entry(
        "s3",
        "keys",
        {"access_key_id": "AKIAVISIBLE", "secret_access_key": PLANTED, "session_token": f"{PLANTED}-session"},
        (PLANTED,),
        travels=True,
    ),
    "azure key": Entry("azure", "key", {"account_key": ENCODED}, (ENCODED, PLANTED)),
    "azure sas": Entry("azure", "sas", {"token": f"sv=2024-11-04&sp=rwdl&sig={PLANTED}"}, (PLANTED,), travels=True),
    # What people paste by mistake.
    "azure key that is none": Entry("azure", "key", {"account_key": f"{PLANTED} no base64!"}, (PLANTED,)),
    "azure sas that is none": Entry("azure", "sas", {"token": f"{PLANTED}%%\n=&"}, (PLANTED,)),
    "s3 keys with a line end": Entry("s3", "keys", {"access_key_id": "A", "secret_access_key": f"{PLANTED}\n"}, (PLANTED,)),
}
OPERATIONS: Mapping[str, Callable[[ObjectStore], object]] = {
    "get": lambda store: store.get("a/b"),
    "stream": lambda store: list(store.stream("a/b")),
    "list": lambda store: list(store.list("a")),
    "put": lambda store: store.put("a/b", b"2"),
    "put_if_match": lambda store: store.put_if_match("a/b", b"2", "17"),
    "delete": lambda store: store.delete("a/b"),
}


class Watch:
    """Everything that a person or a log could see, to be searched for secrets."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self.caplog, self.capfd = caplog, capfd
        self.seen: list[str] = []

    def error(self, act: Callable[[], object]) -> McmlError:
        """Note all that is told of the error that `act` must raise."""
        with pytest.raises(McmlError) as caught:
            act()
        self.seen += [str(caught.value), repr(caught.value), *traceback.format_exception(caught.value)]
        return caught.value

    def hides(self, hidden: tuple[str, ...]) -> None:
        """Nothing that was seen, logged or printed holds any of these."""
        printed = self.capfd.readouterr()
        everything = "\n".join([*self.seen, self.caplog.text, printed.out, printed.err])
        assert [secret for secret in hidden if secret in everything] == [], everything


@pytest.fixture
def watch(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Watch:
    caplog.set_level(logging.INFO)
    return Watch(caplog, capfd)


@pytest.fixture(params=ENTRIES)
def entry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Entry:
    found = ENTRIES[request.param]
    for name, value in found.secrets.items():
        monkeypatch.setenv(f"PLANTED_{name.upper()}", value)
    return found


def location(kind: StoreKind, method: str, names: Iterator[str] | list[str], endpoint: str) -> Location:
    values = {name: SecretReference(f"PLANTED_{name.upper()}") for name in names}
    account = "account" if kind == "azure" else None
    access = StoreAccess(kind, endpoint, True, account, Credentials(method, values))
    return Location("aws", "eu-west-2", "UK", "mcml-bucket", Decimal(0), "USD", {}, access)


def of_entry(entry: Entry, endpoint: str) -> Location:
    return location(entry.kind, entry.method, list(entry.secrets), endpoint)


class Talkative(Service):
    """A service that repeats everything it was sent, as some do in their errors."""

    def body(self) -> bytes:
        said = json.dumps([self.requests[-1][:3]], default=str) if self.requests else ""
        return f"<?xml version='1.0'?><Error><Code>{self.code}</Code><Message>{escape(said)}</Message></Error>".encode()


@pytest.mark.parametrize("status", [400, 403, 404, 503])
def test_a_service_that_repeats_the_request_gives_nothing_away(entry: Entry, status: int, watch: Watch):
    """However a service answers, and whatever of the request it repeats, no secret comes back through an error."""
    with answering(entry.kind, free_port_range(1)) as service:
        service.__class__ = Talkative
        service.status, service.code = status, "SlowDown" if status == 503 else "AuthenticationFailed"
        place = of_entry(entry, service.url)
        store = open_store(place, Settings())
        for act in OPERATIONS.values():
            try:
                act(store)
            except McmlError as error:
                watch.seen += [str(error), repr(error), *traceback.format_exception(error)]
        watch.seen += [repr(place), repr(store), str(place), repr(vars(store))]
        assert not entry.travels or any(PLANTED in str(request) for request in service.requests), "nothing could be repeated"
    assert len(watch.seen) > 10
    watch.hides(entry.hidden)


def test_a_dead_address_gives_nothing_away(entry: Entry, watch: Watch):
    """When nobody answers, the error names the location, and neither URL nor signature."""
    store = open_store(of_entry(entry, DEAD), Settings())
    assert "aws/eu-west-2" in str(watch.error(lambda: store.put_if_absent("a/b", b"1")))
    watch.hides(entry.hidden)


def test_planned_faults_give_nothing_away(entry: Entry, watch: Watch):
    """The errors of planned faults, with their notes, know nothing of the store's credentials."""
    inner = open_store(of_entry(entry, DEAD), Settings())
    for kind in (FaultKind.OUTAGE, FaultKind.CREDENTIALS_REVOKED, FaultKind.THROTTLING, FaultKind.CLOCK_SKEW):
        fault = Fault("aws", kind, NOW, NOW + timedelta(hours=1))
        store = FaultyStore(inner, lambda fault=fault: (fault,))
        for act in OPERATIONS.values():
            watch.error(lambda act=act, store=store: act(store))
    watch.hides(entry.hidden)


def key_file(folder: Path, uri: str) -> tuple[Path, str]:
    """A service account's key file with a real key, and a part of the key that must never be seen."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    fields = {"type": "service_account", "client_email": "a@b.c", "token_uri": f"{uri}/token", "private_key": key}
    path = folder / "key.json"
    path.write_text(json.dumps({**fields, "project_id": "p", "private_key_id": "1"}))
    return path, key.splitlines()[2]


def test_a_key_file_gives_nothing_away(tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch):
    """A refused, damaged or missing key file of Google is told by its path at most, never by its content."""
    with answering("gcs", free_port_range(1)) as service:
        service.status, service.code = 401, "authError"
        path, part = key_file(tmp_path, service.url)
        monkeypatch.setenv("PLANTED_PATH", str(path))
        place = location("gcs", "key_file", ["path"], service.url)
        for act in OPERATIONS.values():
            watch.error(lambda act=act: act(open_store(place, Settings())))
        whole = path.read_text()
        for damaged in (whole[:-40], whole.replace("BEGIN", "BEGUN"), json.dumps(PLANTED), PLANTED, ""):
            path.write_text(damaged)
            watch.error(lambda: open_store(place, Settings()).get("a"))
        path.unlink()
        watch.error(lambda: open_store(place, Settings()).get("a"))
        watch.seen.append(repr(place))
    watch.hides((part, PLANTED))


WRITTEN = """
compute_profiles: {{small: {{cpu: 1, memory_gib: 1}}}}
clouds:
  aws:
    store: {{kind: {kind}, endpoint: "http://127.0.0.1:9", allow_http: true{account}}}
    regions:
      eu-west-2:
        jurisdiction: UK
        bucket: mcml-bucket
        compute_profiles: [small]
        egress_price: 0
        currency: USD
        credentials: {{method: {method}, access_key_id: {{env: A}}, {name}: {value}}}
"""
SECRET_VALUES = [
    ("s3", "keys", "secret_access_key"),
    ("s3", "keys", "session_token"),
    ("azure", "key", "account_key"),
    ("azure", "sas", "token"),
]


@pytest.mark.parametrize(("kind", "method", "name"), SECRET_VALUES)
def test_a_secret_that_is_written_into_the_topology_is_not_repeated(
    kind: str, method: str, name: str, tmp_path: Path, watch: Watch
):
    """A secret written where the name of a variable belongs is refused, and the refusal does not repeat it."""
    topology = tmp_path / "local.yaml"
    account = ", account: account" if kind == "azure" else ""
    for value in (PLANTED, f"{{env: {PLANTED}}}", f"{{enw: {PLANTED}}}", f"[{PLANTED}]", f"{{env: {{deeper: {PLANTED}}}}}"):
        topology.write_text(WRITTEN.format(kind=kind, method=method, name=name, value=value, account=account))
        assert isinstance(watch.error(lambda: load_topology(topology)), ConfigurationError)
    watch.hides((PLANTED,))
