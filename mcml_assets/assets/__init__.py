"""The nouns of a workload, one module each: resolve the location, call down, return what was materialized."""
