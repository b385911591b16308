"""The page `deploy/docs/defects.md`: which check finds which defect, from the catalogue that the checks are tested with.

`python -m mcml_assets_tests.asset_checks.defects_page` writes it; a test fails while it is stale.
"""

from collections.abc import Iterator
from pathlib import Path

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.asset_checks.defects import CHECKS, DEFECTS, OWN

PAGE = PROJECT_ROOT / "deploy" / "docs" / "defects.md"
NAMES = tuple(dict.fromkeys(name for names in CHECKS.values() for name in names))


def render() -> str:
    """The page's text."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# Which check finds which defect",
        "",
        "Made from `mcml_assets_tests/asset_checks/defects.py` by `python -m mcml_assets_tests.asset_checks.defects_page`.",
        "Each defect is planted in one of three locations that hold the same, and the real checks run in all three:",
        "**found** means that the check fails there, an empty cell that it passes. A test holds that every defect is found,",
        "by exactly these checks, that no check of the two sound locations fails, and that none fails without a defect.",
        "",
        f"| defect | planted in | {' | '.join(f'`{name}`' for name in NAMES)} | |",
        f"| --- | --- |{' --- |' * len(NAMES)} --- |",
    )
    for defect in DEFECTS:
        cells = ["**found**" if name in defect.found_by else "" if name in CHECKS[defect.asset] else "-" for name in NAMES]
        yield f"| {defect.name} | `{defect.asset}` | {' | '.join(cells)} | {defect.note} |"
    yield from ("", "`-`: the asset has no such check.", "")
    yield from (
        "Planted in tests of their own, which hold that the check fails and, where there are others, that they do not:",
        "",
    )
    yield from ("| defect | planted in | found by | test |", "| --- | --- | --- | --- |")
    for name, asset, planted, module, test in OWN:
        yield f"| {planted} | `{asset}` | `{name}` | `{module.replace('.', '/')}.py::{test}` |"


def write(page: Path = PAGE) -> None:
    """Write the page."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render())


if __name__ == "__main__":
    write()
