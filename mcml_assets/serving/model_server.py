"""What a model server answers: Open Inference Protocol v2 over KServe's REST server. Imports kserve: import it late.

A request names entities, never features: those come from the location's online store. Nothing a caller sent is ever
logged or sent back, because it may be personal.
"""

import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelRepository
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady
from kserve.model_server import app as kserve_app
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.server import RESTServer
from starlette.exceptions import HTTPException

from mcml_assets.domain.errors import McmlError, TransientError, UnknownEntity
from mcml_assets.features.online import OnlineReader
from mcml_assets.serving.collector import Collector
from mcml_assets.serving.fitness import Fitness, FitnessElsewhere
from mcml_assets.serving.golden import PATH, SYNTHETIC_PATH
from mcml_assets.serving.guard import ASKED, Guard, problem_response
from mcml_assets.serving.interface import DATATYPES, INT64_LIMIT, MAX_ENTITIES, OUTPUT
from mcml_assets.serving.one_write import OneWriteProtocol
from mcml_assets.serving.package import golden_inputs
from mcml_assets.serving.prediction_log.spool import Scored
from mcml_assets.serving.problem import (
    FEATURES_UNAVAILABLE,
    INVALID_REQUEST,
    UNKNOWN_ENTITY,
    Problem,
)
from mcml_assets.serving.row_model import RowModel
from mcml_assets.serving.served import Refusal, Served
from mcml_assets.serving.server_metrics import ServerMetrics
from mcml_assets.serving.tracing import Traced, Tracing, Untraced
from mcml_assets.serving.watch import Watch

GRACE_SECONDS = 5
NOBODY = "synthetic-transaction"  # an id as no entity has it

log = logging.getLogger("mcml_assets.serving.server")


@dataclass(frozen=True, slots=True)
class Question:
    """The entities of one request with their features, one row each, of one feature snapshot."""

    ids: list[int] | list[str]
    rows: list[dict[str, Any]]
    feature_snapshot: str


class EntityModel(Model):
    """Scores entities: one input tensor of ids, one output tensor of scores (FP64, probability of class 1)."""

    def __init__(self, served: Served, features: OnlineReader, metrics: ServerMetrics, tracing: Tracing) -> None:
        super().__init__(served.package.description.workload)
        self.served, self.features, self.metrics, self.tracing = served, features, metrics, tracing
        self.entity = served.package.schema.entity
        self.datatype = DATATYPES[self.entity.type]
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        """The one input, for the protocol's model metadata."""
        return [{"name": self.entity.key, "datatype": self.datatype, "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        """The one output, for the protocol's model metadata."""
        return [{"name": OUTPUT, "datatype": "FP64", "shape": [-1]}]

    async def predict(self, payload: object, headers: dict[str, str] | None = None) -> InferResponse:  # pyright: ignore[reportIncompatibleMethodOverride] - KServe leaves predict to subclasses
        """The scores of the entities that the request names. Raises `Refusal`."""
        if not isinstance(payload, InferRequest):
            raise Refusal(self.invalid("this server speaks version 2 of the protocol: POST /v2/models/<name>/infer"))
        ids = self._entity_ids(payload)
        with self.tracing.step("feature lookup"), self.metrics.lookup_seconds.time():
            feature_snapshot, rows = self._read(ids)
        question = Question(ids, rows, feature_snapshot)
        with self.tracing.step("model"), self.metrics.predict_seconds.time():
            scores = await self.scores(question)
        if not all(map(math.isfinite, scores)):
            raise Refusal(Problem(500, detail="the model gave a score that is no number"))
        return self._answer(payload.id, question, scores)

    async def scores(self, question: Question) -> list[float]:
        """One score for each entity. Of another platform the scores are waited for, and other requests go on meanwhile.

        Raises `Refusal` when that platform gives none.
        """
        inputs = pd.Index(self.served.package.schema.model_inputs)
        rows = pd.DataFrame(question.rows, columns=inputs, dtype=object)
        if not self.served.elsewhere:
            return self.served.scores(rows).tolist()
        try:
            return (await to_thread.run_sync(self.served.scores, rows)).tolist()
        except McmlError as error:
            log.error("no scores from elsewhere: %s", error)
            raise Refusal(Problem(503, detail=f"the endpoint of {self.served.location} does not answer")) from None

    def _answer(self, request_id: str | None, question: Question, scores: list[float]) -> InferResponse:
        """The answer, once its record is kept."""
        inputs = list(self.served.package.schema.model_inputs)
        asked = ASKED.get()
        if self.served.spool is not None and not asked.copy:
            asked.prediction_id = self.served.spool.append(
                [
                    Scored(entity, {name: row[name] for name in inputs}, score)
                    for entity, row, score in zip(question.ids, question.rows, scores, strict=True)
                ],
                caller=asked.caller,
                route_epoch=asked.route_epoch,
                feature_snapshot=question.feature_snapshot,
            )
            self.metrics.lost.set(self.served.spool.lost)
        description = self.served.package.description
        return InferResponse(
            # The protocol demands an id, and KServe fails to encode None.
            response_id=request_id or uuid.uuid4().hex,
            model_name=self.name,
            model_version=str(description.version),
            infer_outputs=[InferOutput(OUTPUT, [len(scores)], "FP64", data=scores)],
            parameters={
                "model_version": description.version,
                "location": self.served.location,
                "jurisdiction": description.jurisdiction,
                "training_snapshot": description.snapshots.get("feature_snapshot", ""),
                "feature_snapshot": question.feature_snapshot,
                "digest": self.served.digest,
                "prediction_id": asked.prediction_id or "",
            },
        )

    def invalid(self, detail: str) -> Problem:
        """The problem of a request that is not as the protocol and this model want it."""
        return Problem(400, INVALID_REQUEST, detail)

    def what_is_right(self) -> str:
        """The sentence that tells a caller how to ask."""
        return (
            f"the body must be JSON of the Open Inference Protocol v2 with one input tensor, name {self.entity.key!r}, "
            f"datatype {self.datatype!r}, shape [n], and n ids as data (1 to {MAX_ENTITIES})"
        )

    def _entity_ids(self, request: InferRequest) -> list[int] | list[str]:
        if len(request.inputs) != 1 or request.inputs[0].name != self.entity.key:
            raise Refusal(self.invalid(f"the input tensor is missing or not alone: {self.what_is_right()}"))
        if any(output.name != OUTPUT for output in request.request_outputs or ()):
            raise Refusal(self.invalid(f"the only output tensor is {OUTPUT!r}"))
        tensor: InferInput = request.inputs[0]
        ids = tensor.data
        if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_ENTITIES or tensor.shape not in ([len(ids)], [len(ids), 1]):
            raise Refusal(self.invalid(f"the tensor's shape and data do not agree: {self.what_is_right()}"))
        right = _is_int64 if self.datatype == "INT64" else _is_text
        if tensor.datatype != self.datatype or not all(map(right, ids)):
            raise Refusal(self.invalid(f"the tensor has another type: {self.what_is_right()}"))
        return ids

    def feature_snapshot_for(self, entity: int | str) -> str:
        """The feature snapshot that the online store answers from, asked about an entity that it need not know."""
        try:
            return self._read([entity])[0]  # pyright: ignore[reportArgumentType] - one id is of one type
        except Refusal as refusal:
            if refusal.problem.type != UNKNOWN_ENTITY:
                raise
            return self.features.snapshot_id

    def _read(self, ids: list[int] | list[str]) -> tuple[str, list[dict[str, Any]]]:
        """The feature snapshot, and every entity's features of it."""
        try:
            if self.served.features_down():
                raise TransientError("an outage of the feature store was planned")
            return self.features.read_all(ids)
        except UnknownEntity:
            detail = f"{self.served.location} has no features of an entity that the request names"
            raise Refusal(Problem(404, UNKNOWN_ENTITY, detail)) from None
        except McmlError as error:
            log.error("features cannot be read: %s", type(error).__name__)
            detail = f"the feature store of {self.served.location} does not answer"
            raise Refusal(Problem(503, FEATURES_UNAVAILABLE, detail)) from None


class FixedRepository(ModelRepositoryExtension):
    """The model repository extension, closed: which model is served is the manifest's business."""

    async def load(self, model_name: str) -> None:
        """Refused."""
        raise Refusal(Problem(403, detail="which model is served is decided by the endpoint's manifest"))

    async def unload(self, model_name: str) -> None:
        """Refused."""
        raise Refusal(Problem(403, detail="which model is served is decided by the endpoint's manifest"))


class ProblemServer(RESTServer):
    """KServe's REST server on one interface, without lines per request, with problems for refusals."""

    def __init__(
        self,
        model: EntityModel | RowModel,
        host: str,
        port: int,
        dark: Callable[[], bool],
        outermost: Callable[[Any], Any] | None,
    ) -> None:
        repository = ModelRepository()
        repository.update(model)
        super().__init__(
            "kserve.model_server:app",
            DataPlane(repository),
            FixedRepository(repository),
            http_port=port,
            grace_period=GRACE_SECONDS,
        )
        # KServe itself listens on every interface, and offers no argument for it.
        self.config.host = host
        self.config.access_log = False
        self.config.http = OneWriteProtocol
        self.model = model
        self.dark = dark
        self.outermost = outermost

    def create_application(self) -> None:
        """KServe's application, then our handlers in place of its own, which would send exceptions' texts."""
        super().create_application()
        _speak_problems(kserve_app, self.model)
        kserve_app.add_api_route(PATH.format(workload="{name}"), _golden_answer(self.model), methods=["GET"])
        if isinstance(self.model, EntityModel):
            kserve_app.add_api_route(SYNTHETIC_PATH.format(workload="{name}"), _synthetic_answer(self.model), methods=["GET"])
        served = self.model.served
        answered_by = {
            "x-mcml-location": served.location,
            "x-mcml-model-version": str(served.package.description.version),
            "x-mcml-digest": served.digest,
        }
        fit = Fitness(served.package, served.scores, time.monotonic)
        if served.elsewhere:
            fit = FitnessElsewhere(served.package, served.scores)
        kserve_app.add_middleware(Guard, answered_by=answered_by, dark=self.dark, fit=fit)
        # Added later, it is around the guard: what that refuses is noted as well.
        kserve_app.add_middleware(Watch, metrics=self.model.metrics, tracing=self.model.tracing)
        if self.outermost is not None:
            kserve_app.add_middleware(self.outermost)


def serve(
    served: Served,
    *,
    host: str,
    port: int,
    dark: Callable[[], bool],
    collector: Collector | None = None,
    outermost: Callable[[Any], Any] | None = None,
) -> None:
    """Answer until SIGTERM or SIGINT, then finish what is under way (at most `GRACE_SECONDS`).

    Requests are refused while `dark` says that the location is. `collector` takes the traces, if there is one, and
    `outermost` makes of the application what gives a platform's own words their meaning.
    """
    for noisy in ("kserve", "kserve.trace", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    traced = None
    if collector is not None:
        traced = Traced(collector, {f"mcml.{name}": value for name, value in served.labels.items()})
    metrics, tracing = ServerMetrics(served.labels), traced or Untraced()
    features = served.features
    model = RowModel(served, metrics, tracing) if features is None else EntityModel(served, features, metrics, tracing)
    ProblemServer(model, host, port, dark, outermost).run()
    if traced is not None:
        traced.close()


def _speak_problems(app: FastAPI, model: EntityModel | RowModel) -> None:
    """Answer every refusal as a problem."""

    def handler(problem: Callable[[Any], Problem]) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def handle(_: Request, error: Exception) -> Response:
            return problem_response(problem(error))

        return handle

    handlers: dict[type[Exception], Callable[[Any], Problem]] = {
        Refusal: lambda refusal: refusal.problem,
        RequestValidationError: lambda _: model.invalid(model.what_is_right()),
        InvalidInput: lambda _: model.invalid(model.what_is_right()),
        ModelNotFound: lambda _: Problem(404, detail=f"the only model here is {model.name!r}"),
        ModelNotReady: lambda _: Problem(503, detail=f"{model.name} is not ready"),
        # A body that is no text at all fails before it is validated.
        HTTPException: lambda error: (
            model.invalid(model.what_is_right()) if error.status_code == 400 else Problem(error.status_code)
        ),
    }
    for error, problem in handlers.items():
        app.add_exception_handler(error, handler(problem))


def _golden_answer(model: EntityModel | RowModel) -> Callable[[str], dict[str, Any]]:
    """The scores this very server gives now for the golden inputs, which are nobody's; for `parity` to compare.

    The edge passes no such request on.
    """

    def answer(name: str) -> dict[str, Any]:
        if name != model.name:
            raise Refusal(Problem(404, detail=f"the only model here is {model.name!r}"))
        package = model.served.package
        try:
            scores: list[float] = model.served.scores(golden_inputs(package)).tolist()
        except McmlError as error:
            log.error("no golden predictions: %s", error)
            raise Refusal(Problem(503, detail=f"the endpoint of {model.served.location} does not answer")) from None
        return {
            "digest": model.served.digest,
            "model_version": package.description.version,
            "predictions": scores,
        }

    return answer


def _synthetic_answer(model: EntityModel) -> Callable[[str], dict[str, Any]]:
    """What a prediction needs, tried for nobody: a read of the online store, and the model. Nothing of it is logged."""
    golden_answer = _golden_answer(model)
    nobody = -INT64_LIMIT if model.datatype == "INT64" else NOBODY

    def answer(name: str) -> dict[str, Any]:
        scores = golden_answer(name)
        return {**scores, "location": model.served.location, "feature_snapshot": model.feature_snapshot_for(nobody)}

    return answer


def _is_int64(value: object) -> bool:
    return type(value) is int and -INT64_LIMIT <= value < INT64_LIMIT


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
