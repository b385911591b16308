"""What AWS publishes about the actions that experiments use: target, resource type, and parameters with those required.

botocore's service model, which the tests ask as well, takes any action id and any parameter. These are from the actions
reference and "Use the AWS FIS aws:eks:pod actions" of the AWS FIS user guide, in our own words; an account's own answer is
`aws fis get-action --id <action>`. Durations are ISO 8601, from a minute to twelve hours.
"""

from dataclasses import dataclass
from typing import Any

import jsonschema

DURATION = {"type": "string", "pattern": r"^PT(\d+H)?(\d+M)?(\d+S)?$"}
NUMBER = {"type": "string", "pattern": r"^\d+$"}
PERCENT = {"type": "string", "pattern": r"^(\d{1,2}|100)$"}
TEXT = {"type": "string", "minLength": 1}


def _closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def _of_pods(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """Parameters of an action on pods, with those that all of them take."""
    common = {
        "kubernetesServiceAccount": TEXT, "fisPodContainerImage": TEXT, "maxErrorsPercent": PERCENT, "fisPodLabels": TEXT,
        "fisPodAnnotations": TEXT,
    }  # fmt: skip
    return _closed(("kubernetesServiceAccount", *required), **common, **properties)


@dataclass(frozen=True)
class Action:
    """An action: its parameters, the name under which it takes its target, and what that target is."""

    parameters: dict[str, Any]
    target: str | None = None
    resource: str | None = None


SCOPES = ["all", "availability-zone", "dynamodb", "prefix-list", "s3", "s3express", "vpc"]
NETWORK = {"duration": DURATION, "interface": TEXT, "flowsPercent": PERCENT, "sources": TEXT}
ACTIONS = {
    "aws:fis:wait": Action(_closed(("duration",), duration=DURATION)),
    "aws:network:disrupt-connectivity": Action(
        _closed(("duration", "scope"), duration=DURATION, scope={"enum": SCOPES}, prefixListIdentifier=TEXT),
        "Subnets", "aws:ec2:subnet",
    ),
    "aws:eks:pod-delete": Action(_of_pods((), fisPodSecurityPolicy=TEXT, gracePeriodSeconds=NUMBER), "Pods", "aws:eks:pod"),
    "aws:eks:pod-network-latency": Action(
        _of_pods(("duration",), **NETWORK, delayMilliseconds=NUMBER, jitterMilliseconds=NUMBER), "Pods", "aws:eks:pod"
    ),
    "aws:eks:pod-network-packet-loss": Action(_of_pods(("duration",), **NETWORK, lossPercent=PERCENT), "Pods", "aws:eks:pod"),
}  # fmt: skip
# Subnets are found by tags; pods cannot be, and are found by these alone.
RESOURCES = {
    "aws:ec2:subnet": _closed((), availabilityZoneIdentifier=TEXT, vpc=TEXT),
    "aws:eks:pod": _closed(
        ("clusterIdentifier", "namespace", "selectorType", "selectorValue"),
        clusterIdentifier=TEXT,
        namespace=TEXT,
        selectorType={"enum": ["labelSelector", "deploymentName", "podName"]},
        selectorValue=TEXT,
        targetContainerName=TEXT,
        availabilityZoneIdentifier=TEXT,
    ),
}


def judge(template: dict[str, Any]) -> None:
    """Raise `jsonschema.ValidationError`, `KeyError` or `AssertionError` for what AWS does not publish."""
    for action in template["actions"].values():
        known = ACTIONS[action["actionId"]]
        jsonschema.validate(action.get("parameters", {}), known.parameters)
        assert set(action.get("targets", {})) == ({known.target} if known.target else set())
        for name in action.get("targets", {}).values():
            assert template["targets"][name]["resourceType"] == known.resource
    for resource in template["targets"].values():
        jsonschema.validate(resource.get("parameters", {}), RESOURCES[resource["resourceType"]])
        assert ("resourceTags" in resource) is (resource["resourceType"] != "aws:eks:pod")
