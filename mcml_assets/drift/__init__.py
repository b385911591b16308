"""Distributions as sketches, what two of them say about drift, and the picture of it. Knows no Dagster, stores no rows."""
