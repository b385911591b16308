"""`python -m mcml_assets.serving.server`: one model server, in a container or on this machine.

Here is how a server starts: its arguments, the checks before it may answer, and how it says why it will not. What it
answers is `model_server.py`'s, which imports KServe and is only imported once the package has been verified.
"""

import argparse
import json
import logging
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import CorruptSnapshot, McmlError, ModelRejected, ObjectNotFound, TransientError
from mcml_assets.domain.faults import PREDICT, READ_FEATURES, FaultKind
from mcml_assets.domain.prediction import Inputs
from mcml_assets.serving.collector import Collector
from mcml_assets.serving.folder import write_atomically
from mcml_assets.serving.json_log import log_json_lines
from mcml_assets.serving.outage import planned, planned_outage
from mcml_assets.serving.package import check_golden, load_model, read_package
from mcml_assets.serving.prediction_log.spool import Answered, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcml_assets.features.online import OnlineReader
    from mcml_assets.serving.package import ModelPackage, Predict
    from mcml_assets.serving.served import Served

    Middleware = Callable[[Any], Any]
    """Makes an ASGI application of one."""

log = logging.getLogger("mcml_assets.serving.server")


def main(arguments: "Sequence[str] | None" = None, outermost: "Middleware | None" = None) -> int:
    """Serve until SIGTERM; the exit status is 1 when the server may not or cannot answer.

    `outermost` is around everything that looks at a request.
    """
    options = _parser().parse_args(arguments)
    log_json_lines(logging.WARNING)
    log.setLevel(logging.INFO)
    # Libraries announce their deprecations on each start and first request: of no use in a server's log.
    warnings.simplefilter("ignore")
    started = time.monotonic()
    try:
        collector = Collector.of(Settings())
        served = _load(options)
    except McmlError as error:
        log.error("refused to start: %s: %s", type(error).__name__, error)
        _leave_word(options.termination_log, options.digest, error)
        return 1
    said = "is loaded and gives its golden predictions" if options.elsewhere is None else f"is asked for at {options.elsewhere}"
    log.info(
        "version %s, package %s, %s after %.1f s", options.model_version, options.digest[:12], said, time.monotonic() - started
    )
    from mcml_assets.serving.model_server import serve  # noqa: PLC0415 - KServe, 1 s: a refused package never needs it

    dark = planned_outage(options.fault_plan, options.location)
    serve(served, host=options.host, port=options.port, dark=dark, collector=collector, outermost=outermost)
    return 0


def _load(options: argparse.Namespace) -> "Served":
    """Everything an answer needs, verified.

    Raises `CorruptSnapshot` when the package is not the one the manifest names, `ModelRejected` when it belongs to
    another workload, jurisdiction or version, or misses its golden predictions, and `TransientError` when no features
    can be read here.
    """
    package = read_package(options.package, digest=options.digest)
    description = package.description
    expected = (options.workload, options.jurisdiction, options.model_version)
    if (description.workload, description.jurisdiction, description.version) != expected:
        raise ModelRejected(f"the manifest wants {'/'.join(map(str, expected))}, the package is {package.name}")
    predict = _model(package) if options.elsewhere is None else _model_elsewhere(package, options)
    features = None if options.features is None else _features(package, options.features)
    spool = None if features is None else _spool(options)
    wrong = planned(options.fault_plan, options.location, FaultKind.WRONG_ANSWERS, PREDICT)
    features_down = planned(options.fault_plan, options.location, FaultKind.FEATURE_STORE_DOWN, READ_FEATURES)
    from mcml_assets.serving.served import Served  # noqa: PLC0415 - a refused package never needs it

    elsewhere = options.elsewhere is not None
    return Served(package, options.digest, options.location, predict, features, spool, wrong, features_down, elsewhere)


def _model(package: "ModelPackage") -> "Predict":
    """The package's model, which gives its golden predictions here. Raises `ModelRejected` otherwise."""
    predict = load_model(package)
    golden = check_golden(package, predict)
    if not golden.passed:
        raise ModelRejected(
            f"{package.name} misses its golden predictions by {golden.max_difference:g} here; "
            f"allowed are {package.golden.tolerance:g} over {golden.compared} predictions"
        )
    return predict


def _model_elsewhere(package: "ModelPackage", options: argparse.Namespace) -> "Predict":
    """The same model on its location's platform, which is ready once that gives the golden predictions."""
    from mcml_assets.serving.gateway.elsewhere import model_elsewhere  # noqa: PLC0415 - only a gateway needs it

    return model_elsewhere(package, options.digest, options.location, options.elsewhere, options.timeout)


def _features(package: "ModelPackage", folder: Path) -> "OnlineReader":
    """The location's features, opened. Raises `TransientError` where there are none yet."""
    from mcml_assets.features.online import OnlineReader  # noqa: PLC0415 - Feast: a refused package never needs it

    features = OnlineReader.from_schema(asdict(package.schema), folder)
    try:
        # Opening the store now makes the first answer as fast as the others, and a missing store visible at once.
        _ = features.snapshot_id
    except (ObjectNotFound, CorruptSnapshot) as error:
        # Not the package's fault: the next feature snapshot may mend it.
        raise TransientError(str(error)) from error
    return features


def _spool(options: argparse.Namespace) -> Spool | None:
    if options.predictions is None:
        log.warning("predictions are not logged: no --predictions says where")
        return None
    answered = Answered(
        options.workload, options.jurisdiction, options.location, options.model_version, options.digest, options.log_inputs
    )
    return Spool(options.predictions, answered)


def _leave_word(path: Path | None, digest: str, error: McmlError) -> None:
    """Say why the server ended, and with which package, where whoever started it looks: a container's termination message."""
    if path is None:
        return
    word = json.dumps({"error": type(error).__name__, "message": str(error), "digest": digest})
    if path.exists():
        # A container's file is mounted there, and cannot be replaced.
        path.write_text(word)
    else:
        write_atomically(path, word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mcml_assets.serving.server", description=__doc__)
    parser.add_argument("--package", type=Path, required=True, help="folder of the model package")
    parser.add_argument("--features", type=Path, help="the location's Feast folder of this workload; without, rows are taken")
    parser.add_argument("--elsewhere", help="address of the endpoint that computes the scores; the server is its gateway then")
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds that the endpoint elsewhere may take")
    parser.add_argument("--workload", required=True, help="the model's name in the protocol")
    parser.add_argument("--location", required=True, help="key of the location that answers")
    parser.add_argument("--jurisdiction", required=True)
    parser.add_argument("--model-version", type=int, required=True)
    parser.add_argument("--digest", required=True, help="digest that the package must have")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--termination-log", type=Path, help="file for the reason of a refusal")
    parser.add_argument("--predictions", type=Path, help="folder of the spool of predictions")
    parser.add_argument("--log-inputs", choices=get_args(Inputs), default="hashed", help="how inputs are logged")
    parser.add_argument("--fault-plan", type=Path, help="file of planned faults, of which the server obeys those of servers")
    # By these two a controller recognises a server that another one started; the server itself needs neither.
    parser.add_argument("--data-plane", type=Path, help="folder of the data plane that the server belongs to")
    parser.add_argument("--revision", help="revision of the manifest that the server runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
