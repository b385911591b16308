"""Answers after the fact: where a prediction came from, and which were older than they had to be. Reads buckets only."""
