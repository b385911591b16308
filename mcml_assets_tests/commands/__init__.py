"""Promises of the commands, each as a person at a terminal would see it."""
