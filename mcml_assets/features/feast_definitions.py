"""A workload's features in Feast's words. Imports feast: import it inside functions, after `import_feast`.

Where repositories lie and how they are filled is `feast_store.py`'s business.
"""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from feast import Entity, FeatureView, Field, FileSource
from feast.type_map import pa_to_feast_value_type
from feast.types import from_value_type
from feast.value_type import ValueType

from mcml_assets.domain import workload as domain
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.features.frames import EVENT_TIMESTAMP

JOIN_KEY_FROM = "join_key_from"
"""A tag of feature views: the view whose feature is this one's join key."""


def definitions(features: domain.Features, owner: str, data: Path) -> list[Entity | FeatureView]:
    """An entity per join key, and a feature view per view over its one file `<data>/<view>.parquet`.

    Raises `ConfigurationError` for a type that Feast cannot store.
    """
    entities = {
        view.join_key: Entity(name=view.join_key, join_keys=[view.join_key], value_type=_value_type(view.join_key_type))
        for view in features.views
    }
    views = [_feature_view(view, entities[view.join_key], owner, data) for view in features.views]
    return [*entities.values(), *views]


def data_file(data: Path, view: str) -> Path:
    """The one file that holds all rows of a view."""
    return data / f"{view}.parquet"


def _feature_view(view: domain.FeatureView, entity: Entity, owner: str, data: Path) -> FeatureView:
    columns = {view.join_key: view.join_key_type, **view.features}
    return FeatureView(
        name=view.name,
        entities=[entity],
        ttl=None if view.ttl_days is None else timedelta(days=view.ttl_days),
        schema=[Field(name=name, dtype=from_value_type(_value_type(type_))) for name, type_ in columns.items()],
        source=FileSource(name=view.name, path=str(data_file(data, view.name)), timestamp_field=EVENT_TIMESTAMP),
        tags={} if view.join_key_from is None else {JOIN_KEY_FROM: view.join_key_from},
        owner=owner,
    )


def _value_type(arrow_type: str) -> ValueType:
    try:
        return pa_to_feast_value_type(str(pa.type_for_alias(arrow_type)))
    except (KeyError, ValueError):
        raise ConfigurationError(f"Feast cannot store features of type {arrow_type!r}") from None
