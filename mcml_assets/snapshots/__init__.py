"""Snapshots in object stores: committing, reading, verifying and copying them. Knows no Dagster and no cloud's SDK."""
