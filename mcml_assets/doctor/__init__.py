"""`mcml doctor`: whether every location does what the platform relies on. Mends nothing, and prints nothing."""
