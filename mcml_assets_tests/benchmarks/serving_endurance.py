"""What serving bears for long, and what it takes: wrong answers in a rollout, random faults, cold starts, processor time.

Part of `make bench-serving`, whose edge and endpoints it uses; what a single fault costs is measured in `serving.py`.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from mcml_assets.domain.error_budget import Objectives
from mcml_assets.domain.rollout import Phase
from mcml_assets.domain.workload import RolloutSteps
from mcml_assets.serving.data_plane import data_plane_state
from mcml_assets.serving.edge.envoy import is_edge
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.instance import find_instances
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.processes import find
from mcml_assets.serving.rollout.record import read_record
from mcml_assets_tests.benchmarks.load import Answer, Load
from mcml_assets_tests.benchmarks.report import Result
from mcml_assets_tests.benchmarks.turning_model import TurningModel
from mcml_assets_tests.serving.served_shop import COLD, PRIMARY, WARM, Shop, train_package

# The location that is measured comes first: the others keep their version.
STEPS = RolloutSteps(percents=(20, 100), dwell_seconds=30, shadow_seconds=3, canaries=(PRIMARY,))
# Only what is wrong may end it here: not how busy the machine is that measures.
OBJECTIVES = Objectives(availability=0.95, latency_milliseconds=1500, latency_share=0.95)
READY_SECONDS = 120
SLOW_SECONDS = 1.0
CALM_SECONDS = 5.0  # between two faults of the soak, and before the first
LONGEST_FAULT_SECONDS = 10.0
ASKED = 1000


@dataclass(frozen=True, slots=True)
class Fallen:
    """One way in which the acting location fails: how it is made to, how it is mended, and for how long it is watched."""

    name: str
    strike: Callable[[], object]
    mend: Callable[[], object]
    seconds: float


def cold_and_warm(shop: Shop, ask: Callable[[int], list[float]]) -> list[Result]:
    """From a cold standby that is told to run until its server is ready, against an answer of one that runs."""
    platform, took = LocalEndpointPlatform(shop.settings), list[float]()
    name = f"shop@{COLD}"
    for _ in range(3):
        platform.apply(shop.manifest(COLD, 1))
        platform.wait_ready(name, shop.digest(1), READY_SECONDS)
        began = time.monotonic()
        platform.apply(shop.manifest(COLD, 1, running=True))
        platform.wait_ready(name, shop.digest(1), READY_SECONDS)
        took.append(time.monotonic() - began)
    platform.delete(name)
    return [Result("cold start, against a warm answer", "", median(took), median(ask(200)), "s")]


def processor_time(shop: Shop, ask: Callable[[int], list[float]]) -> list[Result]:
    """Milliseconds of processor time for each request, of the edge and of the server that answers."""
    (envoy,) = _envoys(shop)
    pid = LocalEndpointPlatform(shop.settings).status(f"shop@{PRIMARY}").pid
    if pid is None:
        raise SystemExit("the primary does not run")
    before = [_busy(process) for process in (envoy, psutil.Process(pid))]
    ask(ASKED)
    after = [_busy(process) for process in (envoy, psutil.Process(pid))]
    return [
        Result(f"processor time for a request, {name}", "", 1000 * (one - other) / ASKED, None, "ms")
        for name, one, other in zip(("edge", "endpoint"), after, before, strict=True)
    ]


def wrong_answers(shop: Shop, path: str, question: dict[str, Any], rate: float, scratch: Path) -> list[Result]:
    """A version that begins to answer wrongly while it takes over: until it is gone, and what failed meanwhile."""
    turned = scratch / "turned"
    serving = replace(shop.workload.serving, rollout=STEPS, objectives=OBJECTIVES)
    rolling = replace(
        shop, workload=replace(shop.workload, serving=serving), packages={**shop.packages, 2: scratch / "turning"}
    )
    _write_turning(rolling, turned)
    platform, name = LocalEndpointPlatform(shop.settings), f"shop@{PRIMARY}"
    with Load(shop.settings.edge_port, path, question, rate) as load:
        platform.apply(rolling.manifest(PRIMARY, 2))
        _reach(shop, name, Phase.SHIFTING)
        time.sleep(2)
        turned.touch()
        began = time.monotonic()
        _reach(shop, name, Phase.ROLLED_BACK)
        took = time.monotonic() - began
        time.sleep(3)
    record = read_record(DataPlaneFolder.of(shop.settings), name)
    if record is None or not (record.reason or "").startswith("golden predictions: "):
        raise SystemExit(f"it was rolled back for another reason: {record and record.reason}")
    platform.apply(shop.manifest(PRIMARY, 1))
    failed = sum(answer.status != httpx.codes.OK for answer in load.answers)
    return [
        Result("answers wrongly at a share of 20 %: until it is rolled back", "ours <= 5", took, None, "s"),
        Result("answers wrongly: failed, of all requests", "ours <= 0", failed, len(load.answers), "requests"),
    ]


def soak(
    shop: Shop,
    path: str,
    question: dict[str, Any],
    rate: float,
    ways: Callable[[], Sequence[Fallen]],
    recovered: Callable[[], object],
    seconds: float,
    seed: int = 1,
) -> list[Result]:
    """A constant load for so long, with one random fault of `ways` after the other, each once the location has `recovered`;
    `seed` decides which, and for how long.
    """
    chance, struck = random.Random(seed), 0  # noqa: S311 - which fault comes next is no secret
    end = time.monotonic() + seconds
    with Load(shop.settings.edge_port, path, question, rate) as load:
        time.sleep(CALM_SECONDS)
        watched = _watched(shop)
        at_first = {name: _megabytes(process) for name, process in watched.items()}
        while time.monotonic() + CALM_SECONDS < end:
            fault = chance.choice(ways())
            fault.strike()
            struck += 1
            try:
                time.sleep(max(0.0, min(chance.uniform(1, LONGEST_FAULT_SECONDS), end - time.monotonic())))
            finally:
                fault.mend()
            recovered()
            time.sleep(CALM_SECONDS)
        grown = list(_grown(watched, at_first))
    return [*_borne(load.answers, struck, seconds), *grown]


def _borne(answers: Sequence[Answer], struck: int, seconds: float) -> Iterator[Result]:
    soaked = f"soak of {seconds:.0f} s with {struck} random faults"
    failed = sum(answer.status != httpx.codes.OK for answer in answers)
    slow = sum(answer.seconds > SLOW_SECONDS for answer in answers)
    yield Result(f"{soaked}: failed, of all requests", "ours <= 0", failed, len(answers), "requests")
    yield Result(f"{soaked}: slower than {SLOW_SECONDS:g} s, of all", "ours <= 0", slow, len(answers), "requests")


def _grown(before: dict[str, psutil.Process], at_first: dict[str, float]) -> Iterator[Result]:
    for name, process in before.items():
        what = f"memory after the soak, against before, {name}"
        if process.is_running():
            yield Result(what, "ratio <= 1.1", _megabytes(process), at_first[name], "MB")
        else:
            yield Result(f"{what} (it was started again: no figure)", "ratio <= 1.1", 0.0, None, "MB")


def _watched(shop: Shop) -> dict[str, psutil.Process]:
    """What lives through the soak: edge and controller, and the standby's server, which no fault strikes."""
    controller = data_plane_state(shop.settings).pid
    (envoy,) = _envoys(shop)
    standby = [one.process for one in find_instances(DataPlaneFolder.of(shop.settings)) if one.location == WARM]
    if controller is None or not standby:
        raise SystemExit("the data plane or the standby does not run")
    return {"edge": envoy, "controller": psutil.Process(controller), "standby's server": standby[0]}


def _megabytes(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


def _envoys(shop: Shop) -> list[psutil.Process]:
    folder = DataPlaneFolder.of(shop.settings)
    return [process for process, _ in find(lambda line: is_edge(line, folder))]


def _busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _write_turning(shop: Shop, turned: Path) -> None:
    """A package whose model is right until the file is there. Its servers find the model's class in the folder that the
    data plane was started in, which has to be the project's.
    """
    if not Path("mcml_assets_tests").is_dir():
        raise SystemExit(f"run this from the project's folder, not from {Path.cwd()}")
    train_package(shop.packages[2], shop.workload, 2, lambda model: TurningModel(model, str(turned)))


def _reach(shop: Shop, name: str, phase: Phase) -> None:
    """Wait until an endpoint's rollout is there."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        record = read_record(DataPlaneFolder.of(shop.settings), name)
        if record is not None and record.phase is phase:
            return
        if time.monotonic() > deadline or (record is not None and record.ended):
            raise SystemExit(f"never {phase}: {record.sentence() if record is not None else 'there is no rollout'}")
        time.sleep(0.02)
