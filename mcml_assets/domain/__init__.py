"""The pure core: words of the glossary as types, and the rules that follow from them. No Dagster, no SDK, no I/O."""
