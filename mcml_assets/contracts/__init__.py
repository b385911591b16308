"""Contracts: what a workload's data must look like, asked of Parquet files, kept by version, and exported for other tools."""
