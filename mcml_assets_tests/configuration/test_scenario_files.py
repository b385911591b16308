"""What a scenario file may say, and what is told when it is wrong."""

from pathlib import Path

import pytest

from mcml_assets.configuration.scenario_files import load_scenario, scenario_files, scenario_named
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import FaultKind
from mcml_assets.domain.scenario import ProcessFault

SOUND = """\
title: The acting region goes dark
hypothesis: Work moves.
faults:
  - kind: outage
    target: acting
    for: 30s
objectives:
  moves: true
"""


def test_every_shipped_scenario_is_sound() -> None:
    """What is shipped loads, says what is expected and why, and is over by itself."""
    files = scenario_files()
    assert len(files) >= 21
    for name, path in files.items():
        scenario = load_scenario(path)
        assert scenario.name == name
        assert len(scenario.hypothesis) > 60
        assert 0 < scenario.ends_seconds < scenario.abort.after_seconds


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("outage", "outrage", 4, "faults[0].kind: unknown kind of fault 'outrage'; did you mean 'outage'?"),
        ("for: 30s", "for: soon", 6, "faults[0].for: 'soon' does not match"),
        ("for: 30s", "for: 30s\n    parameters: {ms: 4}", 7, "faults[0].parameters: outage has no parameter 'ms'"),
        ("kind: outage", "kind: orchestrator_frozen", 5, "faults[0].target: 'platform' is struck by 'orchestrator_frozen'"),
        ("outage\n    target: acting", "server_killed\n    target: acting_cloud", 5, "server_killed strikes one location"),
        ("moves: true", "move: true", 8, "objectives.move: unknown key; did you mean 'moves'?"),
        ("for: 30s", "for: 30s\n    probability: 2", 7, "faults[0].probability: it is 2; it is more than 0 and at most 1"),
        ("for: 30s", "for: 2h", 6, "is over within 3600 s"),
        ("kind: outage", "kind: partition", 4, "faults[0].parameters: a partition has another side: name it as 'other'"),
        ("objectives:", "runs: [{assets: [landings], of: jurisdiction}]\nobjectives:", 7, "no asset 'landings'"),
        ("objectives:", "runs: [{assets: [landing], of: acting}]\nobjectives:", 7, "no asset 'landing' of 'acting'"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, told: str) -> None:
    """A wrong scenario is refused with file, line, key, and the nearest choice where there is one."""
    file = tmp_path / "dark.yaml"
    file.write_text(SOUND.replace(old, new))
    with pytest.raises(ConfigurationError) as raised:
        load_scenario(file)
    assert any(f"{file}:{line}: " in text and told in text for text in str(raised.value).splitlines()), raised.value


def test_a_workload_brings_scenarios_of_its_own(tmp_path: Path) -> None:
    """A file in `defs/<workload>/scenarios/` is a scenario like any other, and goes before a shipped one of its name."""
    folder = tmp_path / "shop" / "scenarios"
    folder.mkdir(parents=True)
    (folder / "region_outage.yaml").write_text(SOUND)
    (folder / "till_down.yaml").write_text(SOUND.replace("outage", "server_killed"))
    assert scenario_named("region_outage", tmp_path).hypothesis == "Work moves."
    assert scenario_named("till_down", tmp_path).injections[0].kind is ProcessFault.SERVER_KILLED
    assert scenario_named("provider_outage", tmp_path).injections[0].kind is FaultKind.OUTAGE
    with pytest.raises(ConfigurationError, match="did you mean 'till_down'"):
        scenario_named("til_down", tmp_path)
