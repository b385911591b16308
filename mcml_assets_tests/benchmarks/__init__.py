"""Benchmarks: what the platform costs beside a peer, measured in one run. Run by `make bench…`; not part of the tests."""
