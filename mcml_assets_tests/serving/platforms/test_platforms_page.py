"""The page of platforms says what the code says."""

from mcml_assets_tests.serving.platforms.platforms_page import PAGE, render


def test_the_page_is_what_the_code_says() -> None:
    """Capabilities and their proofs on the page are those that are declared and tested."""
    assert PAGE.read_text() == render(), "stale: run python -m mcml_assets_tests.serving.platforms.platforms_page"
