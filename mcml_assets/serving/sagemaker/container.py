"""`python -m mcml_assets.serving.sagemaker.container serve`: our model server as SageMaker's containers want it.

SageMaker gives a container the word `serve` and no arguments, asks `/ping` whether it is ready, and sends requests to
`/invocations`, with a trace as a custom attribute. All are other names for what the server knows anyway; what it answers
belongs to `model_server.py`.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import partial
from typing import Any

from mcml_assets.serving import server
from mcml_assets.serving.sagemaker.objects import ARGUMENTS, TRACE_PREFIX
from mcml_assets.serving.tracing import TRACEPARENT

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"


class SageMakerWords:
    """ASGI middleware that gives SageMaker's two paths and its custom attributes their meaning. The outermost: whatever
    looks at a request must see what it means.
    """

    def __init__(self, app: App, workload: str) -> None:
        self.app = app
        self.paths = {"/ping": f"/v2/models/{workload}/ready", "/invocations": f"/v2/models/{workload}/infer"}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass one request on, under the path that it means and within the trace that it names."""
        path = self.paths.get(scope.get("path", ""))
        if path is not None:
            headers = [*scope["headers"], *_trace(scope["headers"])]
            scope = {**scope, "path": path, "raw_path": path.encode(), "headers": headers}
        await self.app(scope, receive, send)


def _trace(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The header that a custom attribute stands for."""
    prefix = TRACE_PREFIX.encode()
    said = (value for name, value in headers if name == CUSTOM_ATTRIBUTES and value.startswith(prefix))
    return [(TRACEPARENT.encode(), value.removeprefix(prefix)) for value in said]


def main() -> int:
    """Serve with the arguments that the model's environment holds; the exit status is the server's."""
    arguments = json.loads(os.environ[ARGUMENTS])
    workload = arguments[arguments.index("--workload") + 1]
    words = partial(SageMakerWords, workload=workload)
    # SageMaker reaches the container from outside; an argument given again replaces this.
    return server.main(["--host", "0.0.0.0", *arguments], outermost=words)  # noqa: S104 - within its container


if __name__ == "__main__":
    sys.exit(main())
