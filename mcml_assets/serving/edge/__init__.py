"""The edge: Envoy, told by files what the routes decided."""
