"""Failing over without Dagster: probes, the facts of a decision, evacuations, and what a new acting location takes over."""
