"""Thin Dagster resources over `clouds/`, `snapshots/` and `serving/`: configuration in, the right object out."""
