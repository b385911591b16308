"""Tests of the checks: what each finds, and that it accuses nobody else."""
