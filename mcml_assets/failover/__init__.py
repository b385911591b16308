"""Failing over without Dagster: probes, the facts of a decision, and what a new acting location takes over."""
