"""The inventory of workloads and locations, which architects otherwise keep on a whiteboard.

Only what is declared is shown here; what is true of it now (snapshots, endpoints, lag) is `mcml status`'s business.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mcml_assets.domain.workload import Workload

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("workload", "location", "jurisdiction", "role", "classification", "RTO", "RPO")


def matrix_rows(workloads: Sequence[Workload]) -> list[dict[str, Any]]:
    """One row per workload and location, in the order they are declared; the stable JSON shape of `mcml matrix --json`.

    Keys: `workload`, `location`, `jurisdiction`, `role` (primary, warm, cold), `classification`, `rto_seconds`,
    `rpo_seconds`, `owner`, `regulations` (list), `managed_services` (list), `lock_in` (`{cloud, reason}` or None).
    """
    return [
        {
            "workload": workload.name,
            "location": placed.key,
            "jurisdiction": placement.jurisdiction,
            "role": placed.role.value,
            "classification": workload.classification.value,
            "rto_seconds": workload.rto_seconds,
            "rpo_seconds": workload.rpo_seconds,
            "owner": workload.owner,
            "regulations": list(workload.regulations),
            "managed_services": list(workload.managed_services),
            "lock_in": {"cloud": workload.lock_in.cloud, "reason": workload.lock_in.reason}
            if workload.lock_in is not None
            else None,
        }
        for workload in workloads
        for placement in workload.placements
        for placed in placement.locations
    ]


def matrix_table(rows: Sequence[dict[str, Any]]) -> "Table":
    """The rows of `matrix_rows` as a table for the terminal; what repeats the row above is left blank.

    Who owns a workload, and what binds it, stands below the table: a line per workload.
    """
    from rich import box  # noqa: PLC0415 - only when a table is printed
    from rich.table import Table  # noqa: PLC0415 - the same

    first_rows = {row["workload"]: row for row in reversed(rows)}
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption="\n".join(f"{name}: {_binding(row)}" for name, row in sorted(first_rows.items())),
        caption_justify="left",
    )
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("RTO", "RPO") else "left", no_wrap=True)
    above: dict[str, Any] = {}
    for row in rows:
        new = row["workload"] != above.get("workload")
        if new and above:
            table.add_section()
        of_workload = (row["classification"], _duration(row["rto_seconds"]), _duration(row["rpo_seconds"]))
        table.add_row(
            row["workload"] if new else "",
            row["location"],
            row["jurisdiction"],
            row["role"],
            *(of_workload if new else [""] * len(of_workload)),
        )
        above = row
    return table


def _binding(row: dict[str, Any]) -> str:
    """Whose the workload is, and what it is bound by."""
    lock_in = row["lock_in"]
    parts = [
        f"owner {row['owner']}",
        f"regulations {', '.join(row['regulations'])}" if row["regulations"] else "no regulations named",
        f"needs {', '.join(row['managed_services'])}" if row["managed_services"] else "needs no managed service",
        f"locked in to {lock_in['cloud']}: {lock_in['reason']}" if lock_in else "not locked in",
    ]
    return "; ".join(parts)


def _duration(seconds: int) -> str:
    """Seconds in the largest unit that they fill: `45 s`, `60 min`, `24 h`."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
