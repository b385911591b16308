"""Sources: taking the next batch of a source's rows, and judging it by the workload's contract."""
