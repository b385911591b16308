"""Alerting: how a notice reaches people, as a log line, a webhook, in Slack or in PagerDuty. Knows no Dagster."""
