"""Features: as-of dates, the users' function over raw tables, and the Feast repository that serves what came out."""
