"""Dagster's instance as the platform uses it: where runs are queued, who decides, and what is done when it was lost.

Its settings are in `dagster.yaml`; what runs inside it is the business of `assets/`, `sensors/` and `rehearsals/`.
"""
