"""The prediction log: what every endpoint answered, spooled on its machine, then kept in its own location's bucket."""
