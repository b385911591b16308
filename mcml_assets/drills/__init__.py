"""Drills: rehearsed failures of the running platform, measured from events and judged by the workload's objectives."""
