"""Game days as people write them: one YAML file each. What one means is `domain/gameday.py`'s business."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcml_assets.configuration.problems import Problem, configuration_error, shape_problems
from mcml_assets.configuration.scenario_files import scenario_files
from mcml_assets.configuration.settings import DEFS
from mcml_assets.configuration.yaml_lines import read_yaml
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.gameday import GameDay
from mcml_assets.domain.topology import did_you_mean

SHIPPED = Path(__file__).resolve().parents[1] / "drills" / "gamedays"
OWN_FOLDER = "gamedays"


class AgendaModel(BaseModel):
    """One part of the day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minutes: int = Field(description="How long it takes.", gt=0)
    what: str = Field(description="What is done.", min_length=1)


class GameDayModel(BaseModel):
    """One game day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(description="What it is called.", min_length=1)
    purpose: str = Field(description="What it is for.", min_length=1)
    roles: dict[str, str] = Field(description="Who takes part, and what each does.", min_length=1)
    agenda: list[AgendaModel] = Field(description="The day, in order.", min_length=1)
    scenarios: list[str] = Field(description="What is rehearsed, in order, as `mcml drill list` names it.", min_length=1)
    questions: list[str] = Field(description="What is answered at the end.", min_length=1)


def gameday_named(name: str, defs: Path = DEFS) -> GameDay:
    """The game day of this name, shipped or under `defs/<workload>/gamedays/`.

    Raises `ConfigurationError` with the nearest name, or with one line `<file>:<line>: <key>: ...` per problem.
    """
    files = {path.stem: path for path in (*sorted(SHIPPED.glob("*.yaml")), *sorted(defs.glob(f"*/{OWN_FOLDER}/*.yaml")))}
    if name not in files:
        raise ConfigurationError(f"unknown game day {name!r}{did_you_mean(name, files)}")
    read = read_yaml(files[name])
    try:
        model = GameDayModel.model_validate(read.data)
    except ValidationError as error:
        raise configuration_error(read, shape_problems(error, GameDayModel)) from None
    known = scenario_files(defs)
    problems = [
        Problem(("scenarios", index), f"unknown scenario {scenario!r}{did_you_mean(scenario, known)}")
        for index, scenario in enumerate(model.scenarios)
        if scenario not in known
    ]
    if problems:
        raise configuration_error(read, problems)
    return GameDay(
        name=name,
        title=model.title,
        purpose=model.purpose,
        roles=model.roles,
        agenda=tuple((part.minutes, part.what) for part in model.agenda),
        scenarios=tuple(model.scenarios),
        questions=tuple(model.questions),
    )
