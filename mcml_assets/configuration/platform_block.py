"""A block of a region that names a platform and takes that platform's keys, as `endpoints` and `compute` do.

What each platform takes is in the block's own module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from mcml_assets.configuration.problems import Problem, shape_problems
from mcml_assets.configuration.yaml_lines import KeyPath
from mcml_assets.domain.topology import did_you_mean


def judged_block(
    written: Any, path: KeyPath, models: Mapping[str, type[BaseModel]], names: Sequence[str]
) -> tuple[BaseModel | None, list[Problem]]:
    """The block as its platform's model, or None and what is wrong; `names` are the platforms in the order they are told."""
    if not isinstance(written, dict):
        return None, [Problem(path, f"must be a mapping with a platform: {' | '.join(names)}")]
    platform = written.get("platform")
    if not isinstance(platform, str) or platform not in models:
        said = "this key is missing" if platform is None else f"unknown platform {platform!r}"
        return None, [Problem((*path, "platform"), f"{said}{did_you_mean(str(platform), list(names))}")]
    try:
        return models[platform].model_validate(written), []
    except ValidationError as error:
        return None, [Problem((*path, *one.path), one.text) for one in shape_problems(error, models[platform])]
