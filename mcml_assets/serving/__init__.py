"""Serving: the model package, the endpoint controller, the edge configuration."""
