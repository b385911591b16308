"""Getting heavy work to where it runs, and its result back, by Dagster's Pipes protocol.

What the work is belongs to `assets/`, which profiles there are to the topology, the process that does it to `worker.py`.
"""
