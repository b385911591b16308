"""Promises of the collector's address, of what a request says of its trace, and of the log in which both meet."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.serving.collector import Collector, collector_at
from mcml_assets.serving.json_log import FACTS, TRACE_ID, JsonLines
from mcml_assets.serving.server_metrics import OTHER, VERBS, verb_of
from mcml_assets.serving.tracing import Traced, Untraced, onward, trace_of
from mcml_assets_tests.ports import free_ports


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:4318", "must be such as"),
        ("grpc://127.0.0.1:4317", "must be such as"),
        ("http://", "must be such as"),
        ("http://collector", "names no port"),
        ("http://collector:0", "names no port"),
        ("http://collector:port", "is no address"),
        ("http://collector:99999", "is no address"),
        ("https://collector:4318", "must be an http:// address"),
        ("http://me:secret@collector:4318", "nothing but a host and a port"),
        ("http://collector:4318/v1/traces", "nothing but a host and a port"),
    ],
)
def test_a_wrong_address_is_refused(address: str, said: str) -> None:
    """The error names the setting, what is wrong, and a right one; a password in it is not repeated."""
    with pytest.raises(ConfigurationError, match=f"MCML_OTLP_ENDPOINT.*{said}.*http://127.0.0.1:4318") as caught:
        collector_at(address, 1.0)
    assert "secret" not in str(caught.value)


def test_a_right_address_is_where_traces_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from the environment, IPv6 too; without a setting there is no collector."""
    assert Collector.of(Settings()) is None
    monkeypatch.setenv("MCML_OTLP_ENDPOINT", "http://[::1]:4318/")
    monkeypatch.setenv("MCML_TRACE_SHARE", "0.1")
    found = Collector.of(Settings())
    assert found == Collector("::1", 4318, 0.1)
    assert found is not None
    assert found.traces == "http://[::1]:4318/v1/traces"


def test_spans_for_nobody_are_dropped_and_nothing_is_raised() -> None:
    """Where no collector listens, requests go on beyond the queue's bound, and so does the end."""
    (port,) = free_ports(1)
    traced = Traced(Collector("127.0.0.1", port, 1.0), {"mcml.location": "aws/eu-west-2"})
    for _ in range(3000):
        with traced.request("endpoint infer", {}) as note, traced.step("model"):
            note({"route_epoch": 1})
    traced.close()


def test_who_is_asked_within_a_request_goes_on_with_its_trace() -> None:
    """Below the step that asks where spans are kept, below the caller's own span where none are, and of no trace outside."""
    (port,) = free_ports(1)
    trace, caller = f"{5:032x}", f"{6:016x}"
    headers = {"traceparent": f"00-{trace}-{caller}-01", "tracestate": "a=b"}
    traced = Traced(Collector("127.0.0.1", port, 0.0), {})
    with traced.request("endpoint infer", headers):
        request = onward()
        with traced.step("model"):
            step = onward()
        assert onward() == request
    parents = [trace_and_parent(asked["traceparent"]) for asked in (request, step)]
    assert [of for of, _ in parents] == [trace, trace]
    assert len({caller, *(parent for _, parent in parents)}) == 3
    assert step["tracestate"] == "a=b"
    assert onward() == {}
    traced.close()
    with Untraced().request("endpoint infer", headers), Untraced().step("model"):
        assert onward() == headers
    with Untraced().request("endpoint infer", {"traceparent": "nothing", "tracestate": "a=b"}):
        assert onward() == {}


def trace_and_parent(header: str) -> tuple[str, str]:
    _, trace, parent, _ = header.split("-")
    return trace, parent


@given(header=st.text(max_size=60))
def test_no_header_breaks_a_request(header: str) -> None:
    """Whatever stands in a `traceparent`, there is a trace id of 32 digits or none."""
    trace, _ = trace_of({"traceparent": header})
    assert trace is None or (len(trace) == 32 and int(trace, 16) > 0)


@given(trace=st.integers(1, 2**128 - 1), kept=st.booleans())
def test_a_trace_is_read_as_its_caller_wrote_it(trace: int, kept: bool) -> None:
    """The W3C form gives the id and whether the trace is kept."""
    assert trace_of({"traceparent": f"00-{trace:032x}-{7:016x}-0{int(kept)}"}) == (f"{trace:032x}", kept)


@given(path=st.text(max_size=60))
def test_no_path_makes_a_new_series(path: str) -> None:
    """What a path asks is one of few words, whatever a caller writes."""
    assert verb_of(path) in (*VERBS, OTHER)


def test_a_log_line_is_one_document_with_its_trace() -> None:
    """A line names time, level and message, what it was given, and the trace that it belongs to; a line break stays within."""
    record = logging.LogRecord("mcml", logging.INFO, "", 0, "two\nlines", (), None)
    setattr(record, FACTS, {"status": 200})
    token = TRACE_ID.set("a" * 32)
    try:
        (line,) = JsonLines().format(record).splitlines()
    finally:
        TRACE_ID.reset(token)
    document = json.loads(line)
    assert (document["message"], document["level"], document["status"]) == ("two\nlines", "info", 200)
    assert document["trace_id"] == "a" * 32
    assert document["time"].endswith("+00:00")
