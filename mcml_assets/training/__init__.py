"""Training: split, fit, judge, plot, track and register models. Dagster assets call this; nothing here knows them."""
