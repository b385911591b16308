"""`python -m mcml_assets.serving.sagemaker.container serve`: our model server as SageMaker's containers want it.

SageMaker gives a container the word `serve` and no arguments, asks `/ping` whether it is ready, and sends requests to
`/invocations`. Both are other names for what the server answers anyway; what that is belongs to `model_server.py`.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mcml_assets.serving import server
from mcml_assets.serving.sagemaker.objects import ARGUMENTS

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class SageMakerPaths:
    """ASGI middleware that gives SageMaker's two paths their meaning."""

    def __init__(self, app: App, workload: str) -> None:
        self.app = app
        self.paths = {"/ping": f"/v2/models/{workload}/ready", "/invocations": f"/v2/models/{workload}/infer"}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass one request on, under the path that it means."""
        path = self.paths.get(scope.get("path", ""))
        if path is not None:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self.app(scope, receive, send)


def main() -> int:
    """Serve with the arguments that the model's environment holds; the exit status is the server's."""
    from kserve.model_server import app  # noqa: PLC0415 - KServe, 1 s

    arguments = json.loads(os.environ[ARGUMENTS])
    workload = arguments[arguments.index("--workload") + 1]
    app.add_middleware(SageMakerPaths, workload=workload)
    # SageMaker reaches the container from outside; an argument given again replaces this.
    return server.main(["--host", "0.0.0.0", *arguments])  # noqa: S104 - within its container


if __name__ == "__main__":
    sys.exit(main())
