"""What a cloud offers, behind Protocols; one folder per cloud, none of which imports another. Knows no Dagster."""
