"""The page `deploy/docs/defects.md`: which check finds which defect, from the catalogue that the checks are tested with.

`python -m mcml_assets_tests.asset_checks.defects_page` writes it; a test fails while it is stale.
"""

from collections.abc import Iterator
from pathlib import Path

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.asset_checks.defects import CHECKS, DEFECTS, YIELDED, Defect

PAGE = PROJECT_ROOT / "deploy" / "docs" / "defects.md"
NAMES = tuple(dict.fromkeys(name for names in (*CHECKS.values(), *YIELDED.values()) for name in names))


def render() -> str:
    """The page's text."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from (
        "# Which check finds which defect",
        "",
        "Made from `mcml_assets_tests/asset_checks/defects.py` by `python -m mcml_assets_tests.asset_checks.defects_page`.",
        "Each defect is planted in one of three locations that hold, serve and answer the same, and the real checks run:",
        "all of them there, and in the two sound locations those that look beyond their own. A cell names the assets",
        "whose check fails in the spoilt location; where it is empty the check passes. A test holds that every defect is",
        "found, by exactly these checks, that no check of the sound locations fails, and that none fails anywhere before",
        "a defect is planted. What is wrong with `landing`, `training_run` or `canary_training` is planted before the",
        "asset is materialized, and its own checks then run.",
        "",
        f"| defect | planted in | {' | '.join(f'`{name}`' for name in NAMES)} | |",
        f"| --- | --- |{' --- |' * len(NAMES)} --- |",
    )
    for defect in DEFECTS:
        yield f"| {defect.name} | `{defect.asset}` | {' | '.join(_cell(defect, name) for name in NAMES)} | {defect.note} |"
    yield from ("", "`evidence` fails wherever a blocking check upstream of the endpoint does, or did not run.")


def _cell(defect: Defect, check: str) -> str:
    nouns = [*YIELDED, *CHECKS]
    return ", ".join(f"**{noun}**" for noun in nouns if (noun, check) in defect.found_by)


def write(page: Path = PAGE) -> None:
    """Write the page."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render())


if __name__ == "__main__":
    write()
