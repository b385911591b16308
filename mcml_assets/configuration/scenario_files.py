"""Scenarios as people write them: one YAML file each, shipped with the platform or beside a workload.

What a scenario means is `domain/scenario.py`'s business; what it takes to run one, `drills/`'s.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcml_assets.configuration.problems import Problem, configuration_error, shape_problems
from mcml_assets.configuration.settings import DEFS
from mcml_assets.configuration.yaml_lines import read_yaml
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import duration
from mcml_assets.domain.scenario import (
    Abort,
    Due,
    Injection,
    Load,
    Moment,
    Objectives,
    Scenario,
    Window,
    due_problem,
    injection_problem,
    kind_named,
)
from mcml_assets.domain.topology import did_you_mean

SHIPPED = Path(__file__).resolve().parents[1] / "drills" / "scenarios"
OWN_FOLDER = "scenarios"
DURATION = r"^\d+(\.\d+)?[smhd]$"
TIME = r"^([01]\d|2[0-3]):[0-5]\d$"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class InjectionModel(BaseModel):
    """One fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description="What goes wrong, as `mcml fault set --kind` names it, or what happens to a process.")
    target: str = Field(description="acting, acting_cloud, standby, standby_cloud, last, platform, or a cloud or location.")
    at: str = Field("0s", description="When, after its moment: 5s.", pattern=DURATION)
    after: Moment = Field(
        Moment.STEADY, description="Its moment: steady, ran, shifting (between two steps of a rollout), moved, or returned."
    )
    lasts: str = Field(alias="for", description="For how long: 60s, 2m.", pattern=DURATION)
    parameters: dict[str, float | str] = Field({}, description="Amounts and selectors of the kind.")
    probability: float = Field(1.0, description="Share of the requests that are struck.")


class DueModel(BaseModel):
    """A run that is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    assets: list[str] = Field(description="Of which assets: raw_data, or landing.", min_length=1)
    of: str = Field(description="jurisdiction, or a role or location as for a fault.")
    at: str = Field("0s", description="When, after the load is steady: 5s.", pattern=DURATION)
    ends: Literal["succeeded", "failed"] = Field("succeeded", description="How it must end.")


class WindowModel(BaseModel):
    """When the drill may begin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(description="Weekdays.", min_length=1)
    opens: str = Field(description="Time of day in UTC: 09:00.", pattern=TIME)
    closes: str = Field(description="Time of day in UTC: 16:00.", pattern=TIME)


class LoadModel(BaseModel):
    """Requests while the drill runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: float = Field(description="How many begin each second.", gt=0, le=500)


class AbortModel(BaseModel):
    """When the drill is given up and everything mended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failed_share: float = Field(0.05, description="Share of the last 10 seconds' requests that may fail.", ge=0, le=1)
    after: str = Field("10m", description="The longest the drill may take.", pattern=DURATION)


class ObjectivesModel(BaseModel):
    """What must hold; RTO and RPO are the workload's unless said here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    moves: bool = Field(description="Whether the acting location must change (true), or must not (false).")
    failed_requests: int | None = Field(0, description="How many requests may fail; null where nobody is left to answer.", ge=0)
    wrong_answers: int = Field(0, description="How many answers may be others than the model's own.", ge=0)
    returns: bool = Field(False, description="Whether the primary must act again before the drill ends.")
    slowest_milliseconds: float | None = Field(None, description="The longest that an answer may take.", gt=0)
    recovery: str | None = Field(None, description="A recovery time other than the workload's RTO.", pattern=DURATION)
    loss: str | None = Field(None, description="A recovery point other than the workload's RPO.", pattern=DURATION)


class ScenarioModel(BaseModel):
    """One scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(description="What happens, in a few words.", min_length=1)
    hypothesis: str = Field(description="What is expected to happen, and why.", min_length=1)
    faults: list[InjectionModel] = Field(description="What is made to fail.", min_length=1)
    runs: list[DueModel] = Field([], description="Runs that are asked for meanwhile; with them faults end when these have.")
    cleanup: list[DueModel] = Field([], description="Runs that set right what failed runs left behind.")
    window: WindowModel | None = Field(None, description="When the drill may begin; any time if absent.")
    load: LoadModel = Field(LoadModel(requests_per_second=10), description="Requests while the drill runs.")
    abort: AbortModel = Field(AbortModel(failed_share=0.05, after="10m"), description="When it is given up.")
    objectives: ObjectivesModel = Field(description="What must hold.")
    settles: str = Field("3m", description="How long after the last fault is awaited that all is well again.", pattern=DURATION)


def load_scenario(path: Path) -> Scenario:
    """The scenario in a file, named by the file.

    Raises `ConfigurationError` with one line `<file>:<line>: <key>: ...` per problem.
    """
    document = read_yaml(path)
    try:
        model = ScenarioModel.model_validate(document.data)
    except ValidationError as error:
        raise configuration_error(document, shape_problems(error, ScenarioModel)) from None
    injections: list[Injection] = []
    problems: list[Problem] = []
    for index, written in enumerate(model.faults):
        try:
            injection = _injection(written)
        except ConfigurationError as error:
            problems.append(Problem(("faults", index, "kind"), str(error)))
            continue
        if problem := injection_problem(injection):
            problems.append(Problem(("faults", index, problem[0]), problem[1]))
        injections.append(injection)
    for key, written in (("runs", model.runs), ("cleanup", model.cleanup)):
        for index, due in enumerate(written):
            if problem := due_problem(_due(due)):
                problems.append(Problem((key, index, problem[0]), problem[1]))
    if problems:
        raise configuration_error(document, problems)
    given = model.objectives
    return Scenario(
        name=path.stem,
        title=model.title,
        hypothesis=model.hypothesis,
        injections=tuple(injections),
        load=Load(model.load.requests_per_second),
        abort=Abort(model.abort.failed_share, duration(model.abort.after).total_seconds()),
        objectives=Objectives(
            moves=given.moves,
            failed_requests=given.failed_requests,
            returns=given.returns,
            slowest_milliseconds=given.slowest_milliseconds,
            recovery_seconds=duration(given.recovery).total_seconds() if given.recovery else None,
            loss_seconds=duration(given.loss).total_seconds() if given.loss else None,
            wrong_answers=given.wrong_answers,
        ),
        runs=tuple(map(_due, model.runs)),
        cleanup=tuple(map(_due, model.cleanup)),
        window=_window(model.window) if model.window is not None else None,
        settles_seconds=duration(model.settles).total_seconds(),
    )


def scenario_files(defs: Path = DEFS) -> dict[str, Path]:
    """Every scenario by name: those that are shipped, and a workload's own under `defs/<workload>/scenarios/`, which go
    before a shipped one of the same name.
    """
    found = (*sorted(SHIPPED.glob("*.yaml")), *_own(defs))
    return {path.stem: path for path in found}


def scenario_named(name: str, defs: Path = DEFS) -> Scenario:
    """The scenario of this name. Raises `ConfigurationError` with the nearest one, or for what is wrong with its file."""
    files = scenario_files(defs)
    if name not in files:
        raise ConfigurationError(f"unknown scenario {name!r}{did_you_mean(name, files)}")
    return load_scenario(files[name])


def _own(defs: Path) -> Iterator[Path]:
    for folder in sorted(defs.glob(f"*/{OWN_FOLDER}")):
        yield from sorted(folder.glob("*.yaml"))


def _injection(written: InjectionModel) -> Injection:
    return Injection(
        kind=kind_named(written.kind),
        target=written.target,
        at_seconds=duration(written.at).total_seconds(),
        lasts_seconds=duration(written.lasts).total_seconds(),
        parameters=written.parameters,
        probability=written.probability,
        after=written.after,
    )


def _due(written: DueModel) -> Due:
    return Due(tuple(written.assets), written.of, duration(written.at).total_seconds(), fails=written.ends == "failed")


def _window(written: WindowModel) -> Window:
    return Window(frozenset(map(DAYS.index, written.days)), _minutes(written.opens), _minutes(written.closes))


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
