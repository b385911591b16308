"""`mcml daemon`: Dagster's daemon, in the one process that holds the instance's lock; others wait for it.

Two daemons on one instance would each request every run. The lock is PostgreSQL's, held by a session of the instance's own
database, and the daemon runs in the very process that holds it: whoever loses the session ends at once, and whoever is
killed loses the session. What the daemon does is Dagster's business, where it runs `deploy/`'s.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import NoReturn

import dagster as dg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from mcml_assets.domain.errors import ConfigurationError

LOCK = int.from_bytes(b"mcml")
"""One database is one instance, so that a number of our own suffices."""
LOST = 75
"""Exit status of a daemon that lost the lock: EX_TEMPFAIL of sysexits.h, start it again."""
ASK_SECONDS = 1.0
HOLDER_SECONDS, SERVER_SECONDS = 5, 12
"""After how long without an answer the holder gives up, and the server takes the lock from it: the holder ends first."""


def postgres_url() -> str:
    """The address of the instance's database. Raises `ConfigurationError` for an instance that is not on PostgreSQL."""
    with dg.DagsterInstance.get() as instance:
        storage = instance.get_ref().storage_data
        url = getattr(storage.rehydrate(), "postgres_url", None) if storage is not None else None
    if url is None:
        raise ConfigurationError(
            "mcml daemon needs an instance on PostgreSQL (storage.postgres in dagster.yaml), where its lock is kept; "
            "on one machine `dagster-daemon run` is enough"
        )
    return url


def run_only_daemon(url: str, arguments: Sequence[str], tell: Callable[[str], object]) -> NoReturn:
    """Wait for the lock, then be Dagster's daemon with these arguments of `dagster-daemon run`; end when it is lost."""
    held = hold_lock(url, tell)
    tell("This is the instance's daemon now.")
    threading.Thread(target=_guard, args=(held, tell), daemon=True, name="lock").start()
    (daemon,) = entry_points(group="console_scripts", name="dagster-daemon")
    sys.argv = ["dagster-daemon", "run", *arguments]
    sys.exit(daemon.load()())


def hold_lock(url: str, tell: Callable[[str], object]) -> Connection:
    """A session that holds the lock; waits while another holds it, or the server does not answer."""
    engine, told = _engine(url), ""
    while True:
        try:
            session = engine.connect()
            if _take(session):
                return session
            session.close()
            news = "Another daemon holds the lock; waiting for it to end."
        except SQLAlchemyError as error:
            news = f"PostgreSQL does not answer ({type(error).__name__}); waiting for it."
        if news != told:
            tell(news)
            told = news
        time.sleep(ASK_SECONDS)


def _engine(url: str) -> Engine:
    # Nothing is pooled: a session ends when it is closed. What was sent and is not acknowledged fails the session here.
    return create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT",
        connect_args={
            "connect_timeout": HOLDER_SECONDS, "tcp_user_timeout": 1000 * HOLDER_SECONDS, "keepalives_idle": 2,
            "keepalives_interval": 1, "keepalives_count": 3, "application_name": "mcml daemon",
        },
    )  # fmt: skip


def _take(session: Connection) -> bool:
    """Whether this session has the lock now. A holder that is frozen or cut off loses it after `SERVER_SECONDS`."""
    session.execute(text(f"SET idle_session_timeout = {1000 * SERVER_SECONDS}"))
    session.execute(text(f"SET statement_timeout = {1000 * HOLDER_SECONDS}"))
    return bool(session.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar())


def _guard(held: Connection, tell: Callable[[str], object]) -> None:
    """Ask over the session that holds the lock; without an answer end this process, whatever the daemon is doing."""
    while True:
        time.sleep(ASK_SECONDS)
        try:
            held.execute(text("SELECT 1"))
        except Exception as error:  # noqa: BLE001 - whatever it is, the lock may be another's
            with contextlib.suppress(Exception):
                tell(f"The lock is lost ({type(error).__name__}): ending.")
            os._exit(LOST)
