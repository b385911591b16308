"""Tests of the digest of rows and of the comparison within tolerances."""
