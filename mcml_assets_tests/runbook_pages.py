"""The pages of `deploy/runbooks/`, one for each scenario, of an example workload: run this module to write them anew."""

from mcml_assets.configuration.scenario_files import load_scenario, scenario_files
from mcml_assets.configuration.settings import DEFS, PROJECT_ROOT, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.runbook import Runbook, runbook
from mcml_assets.domain.scenario import struck

FOLDER = PROJECT_ROOT / "deploy" / "runbooks"
EXAMPLE, JURISDICTION = "online_retail", "UK"


def runbooks() -> dict[str, Runbook]:
    """The runbook of every scenario for the example workload, its primary acting."""
    topology = load_topology(Settings().topology_file)
    workload = load_workload(DEFS / EXAMPLE / "defs.yaml", topology)
    placement = workload.placement(JURISDICTION)
    acting = placement.primary.key
    made = {}
    for name, path in scenario_files().items():
        scenario = load_scenario(path)
        targets = [(one, struck(one.target, acting, placement, topology)) for one in scenario.injections]
        made[name] = runbook(scenario, workload, JURISDICTION, acting, targets)
    return made


def main() -> None:
    """Write every page, and remove those whose scenario is gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for page in FOLDER.glob("*.md"):
        page.unlink()
    for name, made in runbooks().items():
        (FOLDER / f"{name}.md").write_text(made.markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
