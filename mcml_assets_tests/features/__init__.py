"""Features: as-of dates, the users' function over raw tables, Feast repositories and the online reader."""
