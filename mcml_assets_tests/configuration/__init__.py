"""Tests of what people write, and what they are told when it is wrong."""
