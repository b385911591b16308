"""The commands of `mcml`, one module each subject: they read arguments, call down and print. `cli.py` puts them together."""
