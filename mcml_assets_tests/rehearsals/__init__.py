"""Tests of the rehearsals that run by themselves."""
