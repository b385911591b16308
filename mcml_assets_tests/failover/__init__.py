"""Promises of probes, facts and evacuations, on real local clouds."""
