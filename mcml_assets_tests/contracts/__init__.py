"""Tests of contracts: what is found, by which engine, what may be told of it, and how a contract changes."""
