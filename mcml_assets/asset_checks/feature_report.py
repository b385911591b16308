"""How features differ between locations, as a table for people; a key that stands for a person is never in it."""

from collections.abc import Iterator, Mapping

from mcml_assets.domain.table_difference import Example, TableDifference
from mcml_assets.domain.workload import Workload

HEAD = """\
| against | view | column | rows that differ | within tolerance | largest difference | for example |
|---|---|---|---:|---:|---:|---|"""


def differences_table(workload: Workload, differences: Mapping[str, Mapping[str, TableDifference]]) -> str:
    """Markdown of the differences by location and view, a line per column; columns that agree have none."""
    lines = [
        f"| {location} | {view} | {line} |"
        for location, views in differences.items()
        for view, difference in views.items()
        for line in _lines(workload, difference)
    ]
    return "\n".join([HEAD, *lines])


def _lines(workload: Workload, difference: TableDifference) -> Iterator[str]:
    for what, names in (
        ("only here", difference.missing),
        ("only there", difference.added),
        ("of another type there", difference.retyped),
    ):
        if names:
            yield f"*columns {what}* | | | | {', '.join(names)}"
    if difference.only_first or difference.only_second:
        examples = _examples(workload, difference.unmatched)
        yield f"*rows* | {difference.only_first} only here, {difference.only_second} only there | | | {examples}"
    for column in difference.columns:
        largest = "" if column.largest is None else f"{column.largest:.3g}"
        rows = f"{column.rows} of {difference.compared}"
        yield f"{column.column} | {rows} | {column.tolerated} | {largest} | {_examples(workload, column.examples)}"


def _examples(workload: Workload, examples: tuple[Example, ...]) -> str:
    return "; ".join(_example(workload, example) for example in examples)


def _example(workload: Workload, example: Example) -> str:
    """The key where it may be shown; else the row's number, by which those who may see the data can find it."""
    shown = {name: value for name, value in example.key.items() if _may_be_shown(workload, name)}
    if len(shown) == len(example.key):
        return ", ".join(f"{name} `{value}`" for name, value in shown.items())
    return ", ".join([f"row {example.row}", *(f"{name} `{value}`" for name, value in shown.items())])


def _may_be_shown(workload: Workload, column: str) -> bool:
    if column == workload.features.entity.key and not workload.entity_key_is_shown:
        return False
    return column not in workload.unshown_columns
