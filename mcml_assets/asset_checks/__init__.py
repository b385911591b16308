"""The checks of a workload, one module per kind; every check is per partition of the asset it is on."""
