"""The page `deploy/docs/limitations.md`: what each kind of store can do, and where one deviates.

`python -m mcml_assets_tests.clouds.limitations_page` writes it; a test fails while it is stale.
"""

from collections.abc import Iterator
from pathlib import Path

from mcml_assets.clouds.capabilities import Capability, capabilities, upload_limits
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.domain.topology import STORE_KINDS
from mcml_assets_tests.clouds.limitations import LIMITATIONS, NOT_USED, UNVERIFIED

PAGE = PROJECT_ROOT / "deploy" / "docs" / "limitations.md"


def render() -> str:
    """The page's text."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# What the clouds' object stores can do, and where they differ",
        "",
        "Made from `mcml_assets/clouds/capabilities.py` and `mcml_assets_tests/clouds/limitations.py` by",
        "`python -m mcml_assets_tests.clouds.limitations_page`: change those. One conformance suite runs over every store;",
        "what is listed under limitations is expected to fail there, strictly: a limitation that is gone fails the suite.",
        "",
        "## Capabilities",
        "",
        f"| a store … | {' | '.join(STORE_KINDS)} |",
        f"| --- |{' --- |' * len(STORE_KINDS)}",
    )
    for capability in Capability:
        has = " | ".join("yes" if capability in capabilities(kind) else "no" for kind in STORE_KINDS)
        yield f"| {capability.value} | {has} |"
    yield from ("", "## Sizes", "", "| | one request | one part | parts | object |", "| --- | --- | --- | --- | --- |")
    for kind in STORE_KINDS[1:]:
        limits = upload_limits(kind)
        part = f"{_size(limits.smallest_part)} to {_size(limits.largest_part)}"
        yield f"| {kind} | {_size(limits.single)} | {part} | {limits.parts:,} | {_size(limits.object)} |"
    yield from (
        "",
        "## Limitations",
        "",
        "| store | promise | why | what follows | source |",
        "| --- | --- | --- | --- | --- |",
    )
    for one in LIMITATIONS:
        where = f"{one.store}, its emulator only" if one.emulator else one.store
        yield f"| {where} | `{one.test}` | {one.reason} | {one.consequence} | <{one.source}> |"
    yield from ("", "## Offered, and not used", "")
    yield from (f"- {text}" for text in NOT_USED)
    yield from ("", "## Unverified", "", "No emulator shows these, and they were run against no real account:", "")
    yield from (f"- {text}" for text in UNVERIFIED)


def _size(size: int) -> str:
    for unit, name in ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit:,} {name}"
    return f"{size:,} B"


def write(page: Path = PAGE) -> None:
    """Write the page."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render())


if __name__ == "__main__":
    write()
