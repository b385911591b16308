"""A notice arrives in the form its receiver expects, is retried within bounds, and betrays no secret when it is lost."""

import pytest

from mcml_assets.alerting import delivery
from mcml_assets.alerting.delivery import ATTEMPTS, Delivery, Post, Receiver, deliver
from mcml_assets.domain.alert import Alert, Notice
from mcml_assets_tests.alerting.receiver import Hang, receiver
from mcml_assets_tests.ports import free_ports

ALERT = Alert("outage/aws", "aws outage", ("aws/eu-west-2", "aws/us-east-1"), ("<no> answer",), "2024-01-01T00:00:00+00:00")
TRIGGER, RESOLVE = Notice("trigger", ALERT), Notice("resolve", ALERT)


def send(*notices: Notice, form: str = "webhook", variable: str = "SECRET", address: str | None = None) -> list[Delivery]:
    """Send the notices to one receiver."""
    return deliver([Post(form, notice) for notice in notices], {form: Receiver(form, variable, address)})


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PAUSE_SECONDS", 0.001)


@pytest.mark.parametrize("form", ["webhook", "slack", "pagerduty"])
def test_a_notice_has_the_form_of_its_receiver(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message per cause names all locations; PagerDuty's two events share the key by which it ends the incident."""
    with receiver() as here:
        monkeypatch.setenv("SECRET", "routing-key" if form == "pagerduty" else here.address)
        told = send(TRIGGER, RESOLVE, form=form, address=here.address if form == "pagerduty" else None)
        assert [one.problem for one in told] == [None, None]
        first, last = here.got
    match form:
        case "webhook":
            assert (first["action"], first["key"], first["where"]) == ("trigger", "outage/aws", list(ALERT.where))
            assert last["action"] == "resolve"
        case "slack":
            assert first["text"].splitlines()[:2] == ["[alert] aws outage: aws/eu-west-2, aws/us-east-1", "• &lt;no&gt; answer"]
            assert last["text"].startswith("[resolved] aws outage")
        case _:
            assert [event["event_action"] for event in (first, last)] == ["trigger", "resolve"]
            assert {event["dedup_key"] for event in (first, last)} == {"mcml_assets/outage/aws"}
            assert first["routing_key"] == "routing-key"
            assert {"summary", "source", "severity"} <= first["payload"].keys()


def test_a_receiver_that_stumbles_is_asked_again_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two failures are survived; one that never ends is given up after three, and a refusal at once."""
    with receiver() as here:
        monkeypatch.setenv("SECRET", here.address)
        here.answers = [500, 429]
        (told,) = send(TRIGGER)
        assert (told.problem, told.attempts) == (None, 3)
        here.answers = [503] * 10
        (told,) = send(TRIGGER)
        assert (told.problem, told.attempts) == ("HTTP 503", ATTEMPTS)
        here.answers = [403]
        (told,) = send(TRIGGER)
        assert (told.problem, told.attempts) == ("HTTP 403", 1)
        assert len(here.got) == 3 + 3 + 1


def test_what_is_lost_names_the_variable_and_never_what_is_in_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody listening, no address, an unset variable: each is told without the secret, and the others are still told."""
    caplog.set_level("DEBUG")
    with receiver() as here:
        (closed,) = free_ports(1)
        monkeypatch.setenv("GOOD", here.address)
        monkeypatch.setenv("CLOSED", f"http://127.0.0.1:{closed}/hidden")
        monkeypatch.setenv("WRONG", "hidden")
        told = [one for name in ("CLOSED", "WRONG", "UNSET", "GOOD") for one in send(TRIGGER, form="slack", variable=name)]
        assert len(here.got) == 1
    assert [one.problem is None for one in told] == [False, False, False, True]
    assert "UNSET" in str(told[2].problem)
    assert "hidden" not in repr(told) + caplog.text
    assert "secret-path" not in caplog.text


@pytest.mark.parametrize("form", ["webhook", "slack", "pagerduty"])
def test_a_receiver_that_hangs_holds_up_nobody_else(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after its attempts, is not asked about the next notice, and the other receiver gets both."""
    monkeypatch.setattr(delivery, "TIMEOUT_SECONDS", 0.2)
    with receiver() as hanging, receiver() as here:
        hanging.answers = [Hang.SILENT] * 20
        monkeypatch.setenv("HANGING", "key" if form == "pagerduty" else hanging.address)
        monkeypatch.setenv("SECRET", here.address)
        other = "webhook" if form != "webhook" else "slack"
        receivers = {
            form: Receiver(form, "HANGING", hanging.address if form == "pagerduty" else None),
            other: Receiver(other, "SECRET"),
        }
        told = deliver([Post(name, notice) for notice in (TRIGGER, RESOLVE) for name in (form, other)], receivers)
        assert [one.problem is None for one in told] == [False, True, False, True]
        assert [one.attempts for one in told] == [ATTEMPTS, 1, 0, 1]
        assert len(hanging.got) == ATTEMPTS
        assert len(here.got) == 2


def test_an_answer_that_never_ends_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver took the notice and goes on talking: it counts, and is not waited for."""
    with receiver() as here:
        monkeypatch.setenv("SECRET", here.address)
        here.answers = [Hang.ENDLESS]
        (told,) = send(TRIGGER)
        assert (told.problem, told.attempts) == (None, 1)
