"""Sensors, one module each: what is decided from events and probes, where no automation condition can say it."""
