"""Google Cloud Storage. Knows no other cloud."""
