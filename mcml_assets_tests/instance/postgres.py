"""A real PostgreSQL server on loopback, of Debian's package, for tests and benchmarks; ended with whoever started it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcml_assets_tests.ports import free_ports

DATABASE = "dagster"
START_SECONDS = 30
ABSENT = "PostgreSQL's server is not installed: apt-get install postgresql"


def binaries() -> Path | None:
    """Where the newest installed server is; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda file: int(file.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """One server with one database, which can be stopped and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        found = binaries()
        assert found is not None, ABSENT
        self.binaries, self.folder, self.port = found, folder, port
        # The server refuses to run as root, as which CI runs.
        self._as: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(folder, "postgres", "postgres")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://dagster@127.0.0.1:{self.port}/{DATABASE}"

    def create(self) -> None:
        """An empty cluster of databases, with the one that Dagster uses."""
        self._run(
            "initdb", "--username=dagster", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D", str(self.folder / "data")
        )
        self.start()
        self._run("createdb", "--host=127.0.0.1", f"--port={self.port}", "--username=dagster", DATABASE)

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-o", options, "-w", "-t", str(START_SECONDS), "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop: `fast` ends every session, `immediate` is as a crash."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.binaries / program), *arguments], cwd=self.folder, check=False, stdin=subprocess.DEVNULL,
            stdout=(self.folder / "commands").open("ab"), stderr=subprocess.STDOUT, **self._as,
        )  # fmt: skip
        assert done.returncode == 0, (self.folder / "commands").read_text()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server with an empty database, in a folder of its own."""
    # Not below pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="mcml-pg-"))
    server = Postgres(folder, free_ports(1)[0])
    try:
        server.create()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
