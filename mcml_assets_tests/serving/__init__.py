"""Promises of `mcml_assets.serving`."""
