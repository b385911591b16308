"""Tests of committing and copying snapshots, mostly under injected failures."""
