"""Tests of how notices reach people: receivers on loopback, their refusals, and what is never told."""
