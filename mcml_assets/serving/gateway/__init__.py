"""Gateways: servers of this machine that answer as any other, and have a platform elsewhere compute the scores."""
