"""What people write, read and judged: settings, topologies, workloads. Errors here name file, line and key."""
