"""The data plane's logs: one JSON document a line, with the trace that it belongs to. The edge writes the same form.

No value that a caller sent is in it; that is for whoever logs to hold.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

TRACE_ID: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""The trace of the request that is being answered: 32 hexadecimal digits."""

FACTS = "facts"


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`, then what the line was given as `extra={FACTS: {…}}`."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FACTS, {}),
        }
        if (trace_id := TRACE_ID.get()) is not None:
            document["trace_id"] = trace_id
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


def log_json_lines(level: int) -> None:
    """Let this process log to standard error from now on, from this level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
