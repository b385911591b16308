"""The local cloud: every bucket is a folder on this machine. Knows no other cloud."""
