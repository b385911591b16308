"""A bucket in this process's memory, for tests and short computations. Knows no other cloud."""
