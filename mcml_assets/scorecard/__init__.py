"""The resilience scorecard: evidence gathered from Dagster's events, and the page that shows what it proves."""
