"""Tests of sketches, of what two of them say about drift, and of what is shown."""
