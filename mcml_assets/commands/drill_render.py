"""`mcml drill render`: a scenario as an experiment of LitmusChaos or of AWS Fault Injection Service."""

import json
from typing import Annotated

import typer
import yaml
from rich.markup import escape

from mcml_assets.commands.terminal import err, fail, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.workload import workload_named
from mcml_assets.drills.rendering import Tool


def render(
    scenario: Annotated[str, typer.Argument(help="The scenario, as `mcml drill list` names it.")],
    tool: Annotated[Tool, typer.Option("--for", help="Which tool brings it about.")],
    workload: Annotated[str | None, typer.Option("--workload", help="The workload; the first if absent.")] = None,
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", "-j", help="Where; the first placement's if absent.")
    ] = None,
    acting: Annotated[str | None, typer.Option("--acting", help="Who acts then; the primary if absent.")] = None,
    role_arn: Annotated[str | None, typer.Option("--role-arn", help="FIS: the role that it works under.")] = None,
    alarm_arn: Annotated[str | None, typer.Option("--alarm-arn", help="FIS: the CloudWatch alarm that stops it.")] = None,
) -> None:
    """A scenario for clusters and clouds: ChaosEngines as YAML, or an FIS template as JSON, on standard output.

    What the tool does not bring about is told on standard error; exits with 2 where it brings about nothing.
    """
    from mcml_assets.configuration.scenario_files import scenario_named  # noqa: PLC0415 - pydantic models
    from mcml_assets.drills.fis import render_fis  # noqa: PLC0415 - only for FIS
    from mcml_assets.drills.litmus import render_litmus  # noqa: PLC0415 - only for Litmus

    try:
        workloads, topology = read_platform(Settings())
        chosen = workload_named(workload, workloads) if workload else workloads[0]
        placement = chosen.placement(jurisdiction or chosen.jurisdictions[0])
        who = chosen.placed(acting).key if acting else placement.primary.key
        written = scenario_named(scenario)
        if tool is Tool.LITMUS:
            made = render_litmus(written, chosen, placement.jurisdiction, who, topology)
            text = yaml.safe_dump_all(made.documents, sort_keys=False)
        else:
            if role_arn is None:
                raise ConfigurationError("FIS works under a role of yours: give it by --role-arn")
            made = render_fis(written, chosen, placement.jurisdiction, who, topology, role_arn=role_arn, alarm_arn=alarm_arn)
            text = json.dumps(made.documents[0], indent=2) + "\n"
    except McmlError as error:
        fail(error)
    typer.echo(text, nl=False)
    for lack in made.lacks:
        err.print(f"[yellow]not brought about:[/yellow] {escape(lack)}", highlight=False, soft_wrap=True)
