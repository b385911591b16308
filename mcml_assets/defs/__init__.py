"""The workloads: one folder each, with its `defs.yaml` and the plain Python it names. Nothing of the platform belongs here."""
