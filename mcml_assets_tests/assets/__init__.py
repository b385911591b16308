"""Tests of the assets on real Dagster instances, local clouds in a temporary folder, and the real data."""
