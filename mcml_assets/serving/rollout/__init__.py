"""Rollouts on this machine: a new version beside the former one, watched and moved by the data plane itself."""
