"""Where a key of a YAML file stands."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.configuration.yaml_lines import key_path, read_yaml
from mcml_assets.domain.errors import ConfigurationError

keys = st.text("abcxyz_", min_size=1, max_size=5).filter(lambda key: key not in ("y", "_"))
trees = st.recursive(
    st.integers(0, 9) | st.text("pqr ", min_size=1, max_size=4),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(keys, inner, min_size=1, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, trees, min_size=1, max_size=4))
def test_every_key_is_found_on_its_own_line(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]) -> None:
    """For any document, the line of a key holds the key, and the data is what YAML itself reads."""
    file = tmp_path_factory.mktemp("yaml") / "any.yaml"
    file.write_text("# a comment\n" + yaml.safe_dump(tree, default_flow_style=False))
    document = read_yaml(file)
    lines = file.read_text().splitlines()
    assert document.data == tree
    for path in _paths(tree, ()):
        shown = f"{path[-1]}:" if isinstance(path[-1], str) else "-"
        assert shown in lines[document.line(path) - 1]


def test_an_unknown_key_has_the_line_of_its_nearest_parent(tmp_path: Path) -> None:
    """A missing key is reported where it should have been."""
    file = tmp_path / "a.yaml"
    file.write_text("a:\n  b:\n    - c: 1\n    - d: 2\n")
    document = read_yaml(file)
    assert [document.line(path) for path in [(), ("a", "x"), ("a", "b", 1, "x"), ("a", "b", 7)]] == [1, 1, 4, 2]


def test_a_key_written_twice_is_told_with_both_lines(tmp_path: Path) -> None:
    """YAML would silently keep the last of two; a merge key may be overridden, that is its use."""
    file = tmp_path / "a.yaml"
    file.write_text("one: &one {a: 1}\ntwo:\n  <<: *one\n  a: 2\n  b: 1\n  b: 2\nlist:\n  - {c: 1, c: 2}\n")
    with pytest.raises(ConfigurationError) as raised:
        read_yaml(file)
    assert str(raised.value).splitlines() == [
        f"{file}:6: two.b: the key is already written on line 5",
        f"{file}:8: list[0].c: the key is already written on line 8",
    ]


def test_no_object_is_made_from_a_tag(tmp_path: Path) -> None:
    """A configuration file can hold data only, never code."""
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\nb: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigurationError, match=r"a\.yaml:2: malformed YAML: could not determine a constructor"):
        read_yaml(file)


def test_paths_read_as_people_write_them() -> None:
    """Keys are joined by dots, list items are in brackets."""
    assert key_path(("placements", "UK", 1, "location")) == "placements.UK[1].location"


def _paths(tree: object, here: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    if isinstance(tree, dict):
        children = list(tree.items())
    elif isinstance(tree, list):
        children = list(enumerate(tree))
    else:
        return []
    return [path for key, child in children for path in [(*here, key), *_paths(child, (*here, key))]]
