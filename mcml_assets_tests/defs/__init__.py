"""The example workloads: their functions and contracts on the real data."""
