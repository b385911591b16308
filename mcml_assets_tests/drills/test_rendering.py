"""What rendering a scenario promises: the other tool accepts it, and what it does not bring about is said."""

from copy import deepcopy
from dataclasses import replace

import jsonschema
import pytest
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.configuration.scenario_files import load_scenario, scenario_files
from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.scenario import Scenario
from mcml_assets.domain.workload import Workload
from mcml_assets.drills.fis import render_fis
from mcml_assets.drills.litmus import render_litmus
from mcml_assets.drills.rendering import NotRenderable, Rendered, Tool
from mcml_assets_tests.drills import fis_schema
from mcml_assets_tests.drills.experiments_page import PAGE, page
from mcml_assets_tests.drills.litmus_schema import CHAOS_ENGINE

TOPOLOGY = load_topology(Settings().topology_file)
A = "aws/eu-west-2"
ROLE, ALARM = "arn:aws:iam::000000000000:role/fis", "arn:aws:cloudwatch:eu-west-2:000000000000:alarm:errors"
SCENARIOS = {name: load_scenario(path) for name, path in scenario_files().items()}


def in_clusters() -> Workload:
    """The shop, whose endpoints are InferenceServices of a cluster in each location."""
    workload = load_workload(DEFS / "online_retail" / "defs.yaml", TOPOLOGY)
    access = ClusterEndpoints("kserve-standard", "cluster-a", "shop", "server", "image", "features")
    return replace(
        workload,
        placements=tuple(
            replace(
                placement,
                locations=tuple(
                    replace(placed, location=replace(placed.location, endpoints=access)) for placed in placement.locations
                ),
            )
            for placement in workload.placements
        ),
    )


SHOP = in_clusters()


def rendered(tool: Tool, scenario: Scenario, workload: Workload = SHOP) -> Rendered:
    if tool is Tool.LITMUS:
        return render_litmus(scenario, workload, "UK", A, TOPOLOGY)
    return render_fis(scenario, workload, "UK", A, TOPOLOGY, role_arn=ROLE, alarm_arn=ALARM)


def accepted(tool: Tool, found: Rendered) -> None:
    """Ask the schemas that the tool's makers publish."""
    if tool is Tool.LITMUS:
        for document in found.documents:
            jsonschema.validate(document, CHAOS_ENGINE)
        return
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    model = ServiceModel(Loader().load_service_model("fis", "service-2"))
    (template,) = found.documents
    report = ParamValidator().validate(template, model.operation_model("CreateExperimentTemplate").input_shape)
    assert not report.has_errors(), report.generate_report()
    fis_schema.judge(template)
    for action in template["actions"].values():
        assert set(action.get("targets", {}).values()) <= template["targets"].keys()
        assert set(action.get("startAfter", ())) <= template["actions"].keys()


def attempted(tool: Tool, name: str) -> Rendered | NotRenderable:
    try:
        return rendered(tool, SCENARIOS[name])
    except NotRenderable as error:
        return error


@pytest.mark.parametrize("tool", list(Tool))
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_scenario_is_an_experiment_that_the_tool_accepts_or_says_why_it_is_none(tool: Tool, name: str) -> None:
    """No scenario is half rendered in silence: every fault is in a document, or in words."""
    found = attempted(tool, name)
    if isinstance(found, Rendered):
        accepted(tool, found)
    else:
        heading, _, reasons = str(found).partition(": ")
        assert heading == f"{name} cannot be rendered for {tool}"
        assert reasons


def test_the_page_says_what_can_be_rendered() -> None:
    """The page of experiments is made from the scenarios; `python -m mcml_assets_tests.drills.experiments_page` renews it."""
    assert PAGE.read_text(encoding="utf-8") == page(
        {(tool, name): attempted(tool, name) for tool in Tool for name in SCENARIOS}
    )


def test_what_pods_and_subnets_can_suffer_is_rendered() -> None:
    """Dark, killed, still and late: these are experiments of both tools, as long as the drill's faults."""
    names = ("region_outage", "server_killed", "server_frozen", "latency_spike")
    for tool in Tool:
        for name in names:
            assert rendered(tool, SCENARIOS[name]).documents
    engine = rendered(Tool.LITMUS, SCENARIOS["region_outage"]).documents[0]
    variables = {one["name"]: one["value"] for one in engine["spec"]["experiments"][0]["spec"]["components"]["env"]}
    assert variables["TOTAL_CHAOS_DURATION"] == "60"
    assert variables["PODS_AFFECTED_PERC"] == "100", "the hub's default strikes one pod of several"
    assert engine["spec"]["appinfo"]["applabel"] == "serving.kserve.io/inferenceservice=online-retail"
    template = rendered(Tool.FIS, SCENARIOS["region_outage"]).documents[0]
    assert template["stopConditions"] == [{"source": "aws:cloudwatch:alarm", "value": ALARM}]
    (target,) = template["targets"].values()
    assert target["resourceTags"] == {"mcml/location": A}


def test_a_misspelt_word_is_no_experiment() -> None:
    """What both tools would swallow in silence, a variable or parameter that nobody reads, the schemas here refuse."""
    engine = deepcopy(rendered(Tool.LITMUS, SCENARIOS["region_outage"]).documents[0])
    engine["spec"]["experiments"][0]["spec"]["components"]["env"][0]["name"] = "TOTAL_CHAOS_SECONDS"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(engine, CHAOS_ENGINE)
    template = deepcopy(rendered(Tool.FIS, SCENARIOS["region_outage"]).documents[0])
    (action,) = template["actions"].values()
    action["parameters"]["scope"] = "everything"
    with pytest.raises(jsonschema.ValidationError):
        fis_schema.judge(template)


def test_what_is_not_brought_about_is_told() -> None:
    """An outage leaves the bucket answering; a minute is FIS's least; without an alarm nothing stops it."""
    assert any("bucket goes on answering" in lack for lack in rendered(Tool.LITMUS, SCENARIOS["region_outage"]).lacks)
    assert any("become a minute" in lack for lack in rendered(Tool.FIS, SCENARIOS["server_frozen"]).lacks)
    bare = render_fis(SCENARIOS["region_outage"], SHOP, "UK", A, TOPOLOGY, role_arn=ROLE, alarm_arn=None)
    assert any("nothing stops it" in lack for lack in bare.lacks)


def test_processes_of_a_laptop_are_no_pods() -> None:
    """Where endpoints run elsewhere, Litmus has nothing to strike, and says so."""
    laptop = load_workload(DEFS / "online_retail" / "defs.yaml", TOPOLOGY)
    with pytest.raises(NotRenderable, match="its endpoints are no pods"):
        rendered(Tool.LITMUS, SCENARIOS["region_outage"], laptop)


def test_the_command_prints_the_experiment_and_refuses_the_rest() -> None:
    """Standard output is what the tool takes; what is missing is on standard error, and a refusal says which fault and why."""
    chosen = ["--workload", "online_retail", "-j", "UK"]
    made = CliRunner().invoke(app, ["drill", "render", "region_outage", "--for", "fis", *chosen, "--role-arn", ROLE])
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith('{\n  "clientToken"')
    assert "S3 goes on answering" in made.stderr
    refused = CliRunner().invoke(app, ["drill", "render", "clock_skew", "--for", "fis", *chosen, "--role-arn", ROLE])
    assert refused.exit_code == 2
    assert "no tool turns" in " ".join(refused.stderr.split())
