"""Route 53: a route as failover and weighted records with health checks. Imports boto3: import this module late.

The acting location is the primary of a failover pair whose secondary is an alias to the next priority's name, and so on;
locations of one priority share by weights. A TXT record beside the name holds the epoch. All changes of a route are one
batch, which Route 53 carries out whole or not at all, and the batch removes the very TXT record that was read: of two
writers that read the same, one is refused, so no older epoch replaces a newer one.
"""

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from typing import Any

from mcml_assets.clouds.aws.service import aws_client, typed
from mcml_assets.clouds.traffic import Request
from mcml_assets.domain.route import Route
from mcml_assets.domain.traffic import Published, Route53Records, TrafficAccess, levels, to_publish

MARK = "_mcml"
INTERVAL_SECONDS, FAILURES = 10, 3  # how often Route 53's checkers ask, and how many failures make a target unhealthy
Record = dict[str, Any]


class Route53Traffic:
    """A `TrafficAdapter` for one name of a hosted zone, whose records below that name are all ours."""

    def __init__(self, access: TrafficAccess) -> None:
        if not isinstance(access.where, Route53Records):
            raise TypeError(f"{access.key} is not Route 53's")
        self.access, self.where = access, access.where

    def published(self) -> Published | None:
        """What the TXT record says."""
        return _published(self._records())

    def plan(self, route: Route) -> list[Request]:
        """The health checks that are lacking, and the batch of changes."""
        present = self._records()
        wanted = to_publish(self.access, route, _published(present))
        if wanted is None:
            return []
        checks = self._health_checks()
        lacking = [location for location in route.locations if _reference(self.access, location) not in checks]
        made = [{"call": "create_health_check", **self._health_check(location)} for location in lacking]
        named = checks | {_reference(self.access, location): f"<health check of {location}>" for location in lacking}
        return [*made, {"call": "change_resource_record_sets", **self._batch(route, wanted, present, named)}]

    def publish(self, route: Route) -> bool:
        """Publish; see `TrafficAdapter.publish`."""
        present = self._records()
        wanted = to_publish(self.access, route, _published(present))
        if wanted is None:
            return False
        checks = self._health_checks()
        with typed(self.access.key, "health checks"):
            for location in route.locations:
                if _reference(self.access, location) not in checks:
                    made = self._client.create_health_check(**self._health_check(location))["HealthCheck"]
                    checks[made["CallerReference"]] = made["Id"]
        with typed(self.access.key, "records"):
            self._client.change_resource_record_sets(**self._batch(route, wanted, present, checks))
        return True

    def _batch(self, route: Route, wanted: Published, present: list[Record], checks: Mapping[str, str]) -> Record:
        desired = records(self.access, route, wanted, checks)
        keys = {_key(record): record for record in desired}
        changes: list[Record] = []
        for record in present:
            after = keys.get(_key(record))
            # The mark is always taken away by its value: that is the comparison.
            if after is None or _policy(after) != _policy(record) or record["Type"] == "TXT":
                changes.append({"Action": "DELETE", "ResourceRecordSet": record})
        gone = {_key(change["ResourceRecordSet"]) for change in changes}
        known = {_key(record) for record in present} - gone
        for record in desired:
            action = "CREATE" if record["Type"] == "TXT" or _key(record) not in known else "UPSERT"
            changes.append({"Action": action, "ResourceRecordSet": record})
        comment = f"{route.name}, epoch {route.epoch}"
        return {"HostedZoneId": self.where.zone, "ChangeBatch": {"Comment": comment, "Changes": changes}}

    def _records(self) -> list[Record]:
        """Our records as they are now."""
        name = self.where.name
        with typed(self.access.key, "records"):
            pages = self._client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=self.where.zone)
            found = [record for page in pages for record in page["ResourceRecordSets"]]
        ours = (f"{name}.", f".{name}.")
        return [
            record
            for record in found
            if record["Type"] in ("CNAME", "TXT") and (record["Name"] == ours[0] or record["Name"].endswith(ours[1]))
        ]

    def _health_checks(self) -> dict[str, str]:
        """Ids of health checks by their caller's reference."""
        with typed(self.access.key, "health checks"):
            pages = self._client.get_paginator("list_health_checks").paginate()
            return {check["CallerReference"]: check["Id"] for page in pages for check in page["HealthChecks"]}

    def _health_check(self, location: str) -> Record:
        return {
            "CallerReference": _reference(self.access, location),
            "HealthCheckConfig": {
                "Type": "HTTPS",
                "FullyQualifiedDomainName": self.access.target(location),
                "Port": 443,
                "ResourcePath": self.access.ready_path,
                "RequestInterval": INTERVAL_SECONDS,
                "FailureThreshold": FAILURES,
                "EnableSNI": True,
            },
        }

    @cached_property
    def _client(self) -> Any:
        return aws_client("route53", self.access, self.access.region, self.access.store.endpoint)


def records(access: TrafficAccess, route: Route, wanted: Published, checks: Mapping[str, str]) -> list[Record]:
    """The records of a route, those first that others point at; `checks` has health check ids by reference."""
    where = access.where
    if not isinstance(where, Route53Records):
        raise TypeError(f"{access.key} is not Route 53's")
    name, ttl = f"{where.name}.", where.ttl_seconds
    made: list[Record] = []
    groups = levels(route)
    for number, group in reversed(list(enumerate(groups))):
        here = name if number == 0 else f"p{number}.{name}"
        last = number == len(groups) - 1
        shared = here if last else f"w{number}.{name}"
        hosts = [
            {
                "Name": shared,
                "Type": "CNAME",
                "SetIdentifier": entry.location,
                "Weight": entry.weight,
                "TTL": ttl,
                "ResourceRecords": [{"Value": access.target(entry.location)}],
                "HealthCheckId": checks[_reference(access, entry.location)],
            }
            for entry in group
        ]
        made += hosts
        if not last:
            made.append(_alias(where.zone, here, "PRIMARY", shared))
            made.append(_alias(where.zone, here, "SECONDARY", f"p{number + 1}.{name}"))
    mark = {"Name": f"{MARK}.{name}", "Type": "TXT", "TTL": ttl, "ResourceRecords": [{"Value": f'"{wanted.mark()}"'}]}
    return [*made, mark]


def _alias(zone: str, name: str, role: str, target: str) -> Record:
    return {
        "Name": name,
        "Type": "CNAME",
        "SetIdentifier": role.lower(),
        "Failover": role,
        "AliasTarget": {"HostedZoneId": zone, "DNSName": target, "EvaluateTargetHealth": True},
    }


def _published(present: list[Record]) -> Published | None:
    for record in present:
        if record["Type"] == "TXT" and record["Name"].startswith(f"{MARK}."):
            return Published.read(record["ResourceRecords"][0]["Value"].strip('"'))
    return None


def _key(record: Record) -> tuple[str, str, str]:
    return record["Name"], record["Type"], record.get("SetIdentifier", "")


def _policy(record: Record) -> str:
    """How Route 53 chooses among the records of a name; one name has one policy."""
    return "failover" if "Failover" in record else "weighted" if "Weight" in record else "simple"


def _reference(access: TrafficAccess, location: str) -> str:
    """A health check's reference: the same for the same question, so that it is made once."""
    asked = f"{access.target(location)}{access.ready_path}"
    return f"mcml-{sha256(asked.encode()).hexdigest()[:32]}"
