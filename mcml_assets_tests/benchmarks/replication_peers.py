"""Who else copies objects: rclone, s5cmd, boto3 and bare obstore, each as its users would call it.

They are timed for the work alone where they are libraries, and with the start of their process (0.05 s) where they are
programs. None of them compares bytes with a digest that was known before.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import obstore
import psutil

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.topology import Location
from mcml_assets_tests.benchmarks.replication_places import Absent, Place, azure_container, s3_environment
from mcml_assets_tests.benchmarks.replication_work import BLOBS, MIB, blob_keys

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

S5CMD = PROJECT_ROOT / "build" / "bench" / "peers" / "bin" / "s5cmd"
CONCURRENCY = 8
"""As the engine's default. rclone gets as many transfers, twice its own default."""
IDLE_SECONDS, IDLE_SHARE = 15.0, 0.03
"""A process that used less processor time than this, in so long, waits for nothing that will come."""


class Hung(Exception):
    """The peer copied everything and did not end; `seconds` is when it did something for the last time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"everything was done after {seconds:.1f} s, and the process did not end")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Rclone:
    """rclone with `options`, by its settings in the environment and no file."""

    options: Sequence[str] = ()

    def seconds(self, source: Place, target: Place, files: int, timeout: float) -> float:
        """Copy the blobs. Raises `Absent`, and `Hung` when it does not end although all `files` arrived."""
        code, errors, took = self.run(source, target, files, timeout)
        if code:
            raise SystemExit(f"rclone failed:\n{errors[-2000:]}")
        return took

    def run(self, source: Place, target: Place, files: int, timeout: float) -> tuple[int, str, float]:
        """The same, whatever comes of it: its return code, errors and seconds."""
        program = shutil.which("rclone")
        if program is None:
            raise Absent("rclone is not installed; apt install rclone")
        environment = {**_environment(), "RCLONE_CONFIG": ""}
        for name, place in (("SOURCE", source), ("TARGET", target)):
            environment |= {f"RCLONE_CONFIG_{name}_{key.upper()}": value for key, value in place.remote.items()}
        command = [
            program, "copy", f"source:{source.root}/{BLOBS}", f"target:{target.root}/{BLOBS}",
            "--transfers", str(CONCURRENCY), *self.options,
        ]  # fmt: skip
        with TemporaryFile() as told:
            began = perf_counter()
            process = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=told)
            worked = _wait(process, timeout) - began
            took = perf_counter() - began
            if process.poll() is None:
                process.kill()
                process.wait()
                arrived = sum(len(batch) for batch in obstore.list(target.client, BLOBS))
                if arrived < files:
                    raise Absent(f"it copied {arrived} of {files} objects in {took:.0f} s")
                raise Hung(worked)
            told.seek(0)
            return process.returncode, told.read().decode(), took


def _wait(process: psutil.Popen, timeout: float) -> float:
    """Until it ends, the time is over, or it has done nothing for `IDLE_SECONDS`; when it was seen at work last."""
    used, worked = 0.0, perf_counter()
    deadline = worked + timeout
    while process.poll() is None and (now := perf_counter()) < min(deadline, worked + IDLE_SECONDS):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            if times.user + times.system > used + IDLE_SHARE:
                used, worked = times.user + times.system, now
        sleep(0.01)
    return worked


def s5cmd_seconds(source: Place, folder: Path) -> float:
    """Download the blobs of an S3 bucket into a folder. Raises `Absent`."""
    finished, took = run_s5cmd(source, folder)
    if finished.returncode:
        raise SystemExit(f"s5cmd failed:\n{finished.stderr[-2000:]}")
    return took


def run_s5cmd(source: Place, folder: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """The same, whatever comes of it."""
    if not S5CMD.exists():
        raise Absent("s5cmd is not installed; make bench-replication installs it into build/bench/peers")
    location = _location(source)
    command = [
        str(S5CMD), "--endpoint-url", location.store.endpoint or "", "--numworkers", str(CONCURRENCY),
        "cp", f"s3://{location.bucket}/{BLOBS}/*", f"{folder}/",
    ]  # fmt: skip
    environment = {**_environment(), **s3_environment(location)}
    began = perf_counter()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    return finished, perf_counter() - began


def boto3_client(source: Place) -> Any:
    """A client of an S3 bucket, with enough connections for all threads."""
    import boto3
    from botocore.config import Config

    location = _location(source)
    secrets = s3_environment(location)
    return boto3.client(
        "s3", region_name=location.region, endpoint_url=location.store.endpoint,
        aws_access_key_id=secrets["AWS_ACCESS_KEY_ID"], aws_secret_access_key=secrets["AWS_SECRET_ACCESS_KEY"],
        config=Config(max_pool_connections=2 * CONCURRENCY),
    )  # fmt: skip


def boto3_seconds(source: Place, target: Place) -> float:
    """boto3 and the Azure SDK, which is what boto3 needs to reach Azure: each object's body streams into an upload."""
    client, bucket, container = boto3_client(source), _location(source).bucket, azure_container(_location(target))

    def copy(key: str) -> None:
        answer = client.get_object(Bucket=bucket, Key=key)
        container.upload_blob(key, answer["Body"], length=answer["ContentLength"], overwrite=True)

    began = perf_counter()
    with container, ThreadPoolExecutor(CONCURRENCY) as pool:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{BLOBS}/")
        list(pool.map(copy, [entry["Key"] for page in pages for entry in page.get("Contents", ())]))
    return perf_counter() - began


def obstore_seconds(source: Place, target: Place, manifest: Manifest, *, streaming: bool = False) -> float:
    """obstore's own asynchronous calls, which are spared the listing.

    Each object in one piece, which takes memory and is fastest; or `streaming`, which is faster into folders.
    """
    began = perf_counter()
    asyncio.run(_obstore_copy(source.client, target.client, blob_keys(manifest), streaming=streaming))
    return perf_counter() - began


async def _obstore_copy(source: "Client", target: "Client", keys: Sequence[str], *, streaming: bool) -> None:
    free = asyncio.Semaphore(CONCURRENCY)

    async def copy(path: str) -> None:
        async with free:
            answer = await obstore.get_async(source, path)
            if streaming:
                await obstore.put_async(target, path, answer.stream(min_chunk_size=MIB), chunk_size=16 * MIB, max_concurrency=4)
            else:
                await obstore.put_async(target, path, await answer.bytes_async(), use_multipart=False)

    async with asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(copy(key))


def _environment() -> dict[str, str]:
    """What a program needs and no more: a machine's variables for real clouds must not reach emulated ones."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


def _location(place: Place) -> Location:
    if place.location is None:
        raise TypeError("only a bucket on an emulator has a location")
    return place.location
