"""Tests of what `deploy/` ships: image, chart, infrastructure, and what the pages about them promise."""
