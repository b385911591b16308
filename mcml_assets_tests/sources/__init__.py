"""Tests of taking batches from sources, and judging them."""
