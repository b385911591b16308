"""Tests of the object stores: one suite for every cloud, and what only some of them do."""
