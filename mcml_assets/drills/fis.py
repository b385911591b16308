"""A scenario as an experiment template of AWS Fault Injection Service: what `create_experiment_template` takes.

Actions and their parameters are those of AWS's actions reference. Only what lies in AWS can be struck; a location that is dark
is one whose subnets reach nobody, found by the tag `mcml/location`.
"""

from hashlib import sha256
from json import dumps
from typing import Any

from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.faults import AMOUNTS, FaultKind
from mcml_assets.domain.scenario import ProcessFault, Scenario
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Workload
from mcml_assets.drills.litmus import SERVICE_LABEL
from mcml_assets.drills.rendering import Rendered, Strike, Tool, finished, strikes, why_not
from mcml_assets.serving.kserve.objects import object_name
from mcml_assets.serving.manifest import endpoint_name

LEAST_SECONDS = 60
"""FIS lets no fault, and no pause, last less than a minute."""
LOCATION_TAG = "mcml/location"
ACCOUNT = "fis-experiments"
"""The Kubernetes service account under which FIS works in a cluster; AWS's documentation says what it may."""


def render_fis(
    scenario: Scenario,
    workload: Workload,
    jurisdiction: str,
    acting: str,
    topology: Topology,
    *,
    role_arn: str,
    alarm_arn: str | None,
) -> Rendered:
    """The template of a scenario. Raises `NotRenderable` where nothing of it strikes AWS.

    `role_arn` is the role that FIS works under, `alarm_arn` the CloudWatch alarm that stops the experiment.
    """
    actions: dict[str, Any] = {}
    targets: dict[str, Any] = {}
    found, lacks = strikes(scenario, workload, jurisdiction, acting, topology)
    told = list(lacks)
    for strike in found:
        if strike.placed.location.cloud != "aws":
            told.append(f"{strike.placed.key} does not lie in AWS")
            continue
        _add(strike, workload, actions, targets, told)
    if not actions:
        return finished(Tool.FIS, scenario, (), told)
    abort = scenario.abort
    if alarm_arn is None:
        told.append(f"nothing stops it when more than {abort.failed_share:.0%} of the requests fail: give it an alarm")
    stop = {"source": "none"} if alarm_arn is None else {"source": "aws:cloudwatch:alarm", "value": alarm_arn}
    template = {
        "description": f"{scenario.title} ({workload.name} in {jurisdiction})",
        "roleArn": role_arn,
        "stopConditions": [stop],
        "targets": targets,
        "actions": actions,
        "tags": {"mcml/scenario": scenario.name, "mcml/workload": workload.name},
    }
    token = sha256(dumps(template, sort_keys=True).encode()).hexdigest()[:32]
    return finished(Tool.FIS, scenario, [{"clientToken": token, **template}], told)


def _add(strike: Strike, workload: Workload, actions: dict[str, Any], targets: dict[str, Any], lacks: list[str]) -> None:
    """One fault: its action, its target, and a pause before it where it does not begin at once."""
    action = _action(strike, lacks)
    if action is None:
        return
    name = f"{strike.injection.kind}-{strike.placed.location.region}-{len(actions)}".replace("_", "-")
    if action["actionId"].startswith("aws:eks:"):
        access = strike.placed.location.endpoints
        if not isinstance(access, ClusterEndpoints):
            lacks.append(f"{strike.placed.key}: its endpoints are no pods ({access.platform})")
            return
        service = object_name(endpoint_name(workload.name, strike.placed.key))
        target, resource = "Pods", {
            "resourceType": "aws:eks:pod",
            "selectionMode": "ALL",
            "parameters": {
                "clusterIdentifier": access.context,
                "namespace": access.namespace,
                "selectorType": "labelSelector",
                "selectorValue": f"{SERVICE_LABEL}={service}",
            },
        }  # fmt: skip
    else:
        target, resource = "Subnets", {
            "resourceType": "aws:ec2:subnet",
            "selectionMode": "ALL",
            "resourceTags": {LOCATION_TAG: strike.placed.key},
        }  # fmt: skip
    targets[name] = resource
    actions[name] = {**action, "targets": {target: name}}
    pause = round(strike.injection.at_seconds)
    if pause > 0:
        actions[f"wait-{name}"] = {"actionId": "aws:fis:wait", "parameters": {"duration": _minutes(pause, lacks)}}
        actions[name]["startAfter"] = [f"wait-{name}"]


def _action(strike: Strike, lacks: list[str]) -> dict[str, Any] | None:
    kind, where = strike.injection.kind, strike.placed.key
    match kind:
        case FaultKind.OUTAGE:
            lacks.append(f"{where}: S3 goes on answering whoever asks from outside of the location's subnets")
            return {
                "actionId": "aws:network:disrupt-connectivity",
                "parameters": {"duration": _minutes(strike.seconds, lacks), "scope": "all"},
            }
        case ProcessFault.SERVER_KILLED:
            return {
                "actionId": "aws:eks:pod-delete",
                "parameters": {"kubernetesServiceAccount": ACCOUNT, "gracePeriodSeconds": "0"},
            }
        case ProcessFault.SERVER_FROZEN:
            lacks.append(f"{where}: a server that stands still is rendered as one whose packets are all lost")
            return {
                "actionId": "aws:eks:pod-network-packet-loss",
                "parameters": {
                    "duration": _minutes(strike.seconds, lacks),
                    "kubernetesServiceAccount": ACCOUNT,
                    "lossPercent": "100",
                },
            }
        case FaultKind.LATENCY:
            lacks.append(f"{where}: only what its endpoints ask of S3 is late, and not what runs ask")
            amounts, given = AMOUNTS[FaultKind.LATENCY], strike.injection.parameters
            late, jitter = (round(float(given.get(name, amounts[name].default))) for name in ("ms", "jitter_ms"))
            return {
                "actionId": "aws:eks:pod-network-latency",
                "parameters": {
                    "duration": _minutes(strike.seconds, lacks),
                    "kubernetesServiceAccount": ACCOUNT,
                    "delayMilliseconds": str(late),
                    "jitterMilliseconds": str(jitter),
                    "sources": "S3",
                },
            }
        case _:
            lacks.append(f"{kind} {why_not(kind)}")
            return None


def _minutes(seconds: int, lacks: list[str]) -> str:
    """A duration as FIS takes it (ISO 8601), at least a minute."""
    if seconds < LEAST_SECONDS:
        lacks.append(f"{seconds} s become a minute, which is the least that FIS knows")
    return f"PT{max(LEAST_SECONDS, seconds)}S"
