"""Promises of `mcml_assets.training`."""
