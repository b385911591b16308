"""Promises of the sensors, evaluated on real instances over real local clouds."""
