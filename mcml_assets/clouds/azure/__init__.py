"""Azure Blob Storage. Knows no other cloud."""
