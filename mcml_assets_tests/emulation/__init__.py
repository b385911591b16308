"""Tests of the emulated profile: its servers, its strict GCS, and who may enter."""
