"""Sends notices, retries within bounds, and says what became of each. Never raises for a receiver's sake.

Written here because the libraries for it (apprise, dagster-slack, dagster-pagerduty) send one message per call: a stable
key per cause, the resolution of what ended, and another address for PagerDuty than its own are not theirs to choose.
A secret is named by the environment variable that holds it; neither its value nor an address that holds it is ever told.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from mcml_assets.alerting.forms import pagerduty, slack, webhook
from mcml_assets.domain.alert import Notice
from mcml_assets.domain.errors import ConfigurationError

ATTEMPTS = 3
TIMEOUT_SECONDS = 5.0
"""For each of connecting, sending and the answer's head; its body is not waited for."""
PAUSE_SECONDS = 0.5
TOO_MANY = 429

FORMS: dict[str, Callable[[Notice, str], dict[str, Any]]] = {"webhook": webhook, "slack": slack, "pagerduty": pagerduty}


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told: a form, and the environment variable that holds its address (PagerDuty: its routing key)."""

    form: str
    variable: str
    address: str | None = None

    def target(self) -> tuple[str, str]:
        """The address and the key. Raises `ConfigurationError` naming the variable that is empty, never what is in one."""
        secret = os.environ.get(self.variable, "").strip()
        if not secret:
            raise ConfigurationError(f"alerts by {self.form}: the environment variable {self.variable} is not set")
        return (self.address, secret) if self.address is not None else (secret, "")


@dataclass(frozen=True, slots=True)
class Post:
    """One notice for one receiver, named by its form."""

    form: str
    notice: Notice


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one notice at one receiver: `problem` is None when it arrived."""

    form: str
    cause: str
    attempts: int
    problem: str | None


def deliver(posts: Sequence[Post], receivers: Mapping[str, Receiver]) -> list[Delivery]:
    """Send every post to its receiver, at most `ATTEMPTS` times, and say what became of each, in their order.

    A receiver that took none of the attempts is not asked again this time: one that hangs holds up nobody else.
    """
    silent: dict[str, str] = {}
    told: list[Delivery] = []
    with _unlogged(), httpx.Client(timeout=TIMEOUT_SECONDS) as client:
        for post in posts:
            if post.form in silent:
                told.append(Delivery(post.form, post.notice.alert.cause, 0, f"not asked again after {silent[post.form]}"))
                continue
            delivery = _send(client, post.notice, receivers[post.form])
            told.append(delivery)
            if delivery.problem is not None and delivery.attempts == ATTEMPTS:
                silent[post.form] = delivery.problem
    return told


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without the HTTP client's own lines, which quote addresses: Slack's is a secret."""
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _send(client: httpx.Client, notice: Notice, receiver: Receiver) -> Delivery:
    problem: str | None = None
    try:
        address, key = receiver.target()
    except ConfigurationError as error:
        return Delivery(receiver.form, notice.alert.cause, 0, str(error))
    for attempt in range(1, ATTEMPTS + 1):
        try:
            # The body is left unread: a receiver that never ends its answer has taken the notice all the same.
            with client.stream("POST", address, json=FORMS[receiver.form](notice, key)) as answer:
                pass
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = type(error).__name__  # its text quotes the address
        else:
            if answer.is_success:
                return Delivery(receiver.form, notice.alert.cause, attempt, None)
            problem = f"HTTP {answer.status_code}"
            if answer.is_client_error and answer.status_code != TOO_MANY:
                return Delivery(receiver.form, notice.alert.cause, attempt, problem)  # asking again changes nothing
        if attempt < ATTEMPTS:
            time.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
    return Delivery(receiver.form, notice.alert.cause, ATTEMPTS, problem)
