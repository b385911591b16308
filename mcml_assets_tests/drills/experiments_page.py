"""The page `deploy/docs/experiments.md`: what of each scenario other tools bring about. Run this module to write it anew."""

from collections.abc import Mapping

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.drills.rendering import NotRenderable, Rendered, Tool

PAGE = PROJECT_ROOT / "deploy" / "docs" / "experiments.md"
HEAD = """# Scenarios as experiments of other tools

`mcml drill render <scenario> --for litmus|fis` writes a scenario as ChaosEngines of
[LitmusChaos](https://litmuschaos.io), or as an experiment template of AWS Fault Injection Service. Both only break things:
load, measuring, verdict and mending afterwards are `mcml drill run`'s. What such an experiment leaves out is told on
standard error, and here, for `online_retail` in the UK with its endpoints in clusters and the primary acting.

- **LitmusChaos** needs the faults of its public hub in the cluster, and a service account `litmus-admin` in the endpoints'
  namespace. All pods of an endpoint are struck, where the hub's default is one. Each engine carries
  `mcml/starts-after-seconds`: Litmus has no clock of its own for several engines.
- **FIS** needs a role (`--role-arn`) and should have an alarm that stops it (`--alarm-arn`). A location's subnets are found by
  the tag `mcml/location`; its pods in the cluster that the topology's `context` names, by the service account
  `fis-experiments`. Its faults of a pod's network need a container that may be root, so not on Fargate.

Templates for FIS are validated in the tests by botocore against AWS's own service model, and, because that takes any action
and parameter, against those that AWS's user guide publishes for each action and target. ChaosEngines are validated against
the published CustomResourceDefinition, and their variables against the faults of the hub; both are transcribed with unknown
fields forbidden, where a cluster would swallow them. Neither was run in an account or a cluster.
"""


def page(found: Mapping[tuple[Tool, str], Rendered | NotRenderable]) -> str:
    """The page: what of each scenario each tool brings about."""
    lines = [HEAD]
    for tool, title in ((Tool.LITMUS, "LitmusChaos"), (Tool.FIS, "AWS FIS")):
        lines += [f"## {title}", "", "| scenario | | what it does not bring about |", "|---|---|---|"]
        for name in sorted(name for each, name in found if each is tool):
            lines.append(f"| {name.replace('_', ' ')} | {_cells(found[tool, name])} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cells(one: Rendered | NotRenderable) -> str:
    if isinstance(one, Rendered):
        return f"rendered | {'; '.join(one.lacks)}"
    return f"no | {str(one).partition(': ')[2]}"


def main() -> None:
    """Write the page."""
    from mcml_assets_tests.drills.test_rendering import SCENARIOS, attempted

    PAGE.write_text(page({(tool, name): attempted(tool, name) for tool in Tool for name in SCENARIOS}), encoding="utf-8")


if __name__ == "__main__":
    main()
