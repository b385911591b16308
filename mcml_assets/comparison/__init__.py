"""Whether two tables hold the same rows: a digest that does not depend on layout, and a comparison within tolerances."""
