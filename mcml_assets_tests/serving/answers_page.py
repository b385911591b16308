"""The page `deploy/docs/answers.md`: what the edge answers to everything that can be wrong, as it was answered.

`python -m mcml_assets_tests.serving.answers_page` asks a real edge and writes it; a test fails while it is stale.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.serving.answers import Answer, ask_all
from mcml_assets_tests.serving.closed_edge import closed_edge

PAGE = PROJECT_ROOT / "deploy" / "docs" / "answers.md"


def render(answers: Iterable[Answer]) -> str:
    """The page's text."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(answers: Iterable[Answer]) -> Iterator[str]:
    yield from (
        "# What the edge answers",
        "",
        "Made by asking a real edge, which asks who calls, before a real model server:",
        "`python -m mcml_assets_tests.serving.answers_page`. A test asks again, and fails when an answer is not the one here,",
        "or when the server did not live on. `mcml edge openapi` prints the interface in OpenAPI; what it says is fuzzed.",
        "",
        "Whatever is refused is a problem of RFC 9457 (`application/problem+json`); none repeats a value that was sent. The",
        "types are `urn:mcml:…`, and `about:blank` where the status says all.",
        "",
        "| what is asked | status | type | detail, and headers |",
        "| --- | ---: | --- | --- |",
    )
    for answer in answers:
        status = str(answer.status or "closed")
        detail, right, _ = answer.detail.partition("the body must be JSON of")
        told = f"{detail}what is right follows" if right else detail
        detail = "; ".join(part for part in (told.replace("|", "\\|"), answer.headers) if part)
        yield f"| {answer.what} | {status} | {answer.type.removeprefix('urn:mcml:')} | {detail} |"


def write(page: Path = PAGE) -> None:
    """Ask, and write the page."""
    with TemporaryDirectory() as home, closed_edge(Path(home)) as closed:
        page.write_text(render(ask_all(closed)))


if __name__ == "__main__":
    write()
