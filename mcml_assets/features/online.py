"""Reads one entity's features for a prediction, through Feast's online API. feast is imported at the first read.

Building what is read here is `feast_store.py`'s business.
"""

import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound, UnknownEntity
from mcml_assets.domain.workload import Entity, FeatureView
from mcml_assets.features.feast_import import import_feast
from mcml_assets.features.key_order import after_their_keys
from mcml_assets.features.repositories import CURRENT, FeastRepository, current_repository

if TYPE_CHECKING:
    import feast

OPEN_ATTEMPTS = 3
WHOLE_NUMBER = re.compile("-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open repository, and the state of the pointer file that led to it."""

    pointer: tuple[int, int, int]
    repository: FeastRepository
    store: "feast.FeatureStore"


class OnlineReader:
    """The newest features of one entity, from the current repository of a location. Safe to share between threads.

    Follows `join_key_from`; when `current.json` names another repository, the next read answers from that one.
    """

    def __init__(self, entity: Entity, views: Sequence[FeatureView], folder: Path) -> None:
        """`folder` is `<location folder>/feast/<workload>` (`repositories.repositories_folder`). Opens nothing yet."""
        self._entity = entity
        by_name = {view.name: view for view in views}
        order = after_their_keys({view.name: view.join_key_from for view in views})
        self._views = [by_name[name] for name in order]
        self._folder = folder
        self._lock = Lock()
        self._opened: _Opened | None = None

    @classmethod
    def from_schema(cls, schema: Mapping[str, Any], folder: Path) -> "OnlineReader":
        """A reader for the views of a model package's `feature_schema.json`."""
        views = [FeatureView(**{"ttl_days": None, **view}) for view in schema["views"]]
        return cls(Entity(**schema["entity"]), views, folder)

    @property
    def snapshot_id(self) -> str:
        """The feature snapshot that a read answers from now. Raises `ObjectNotFound` when nothing was published."""
        with self._lock:
            return self._current().repository.snapshot_id

    def read(self, entity_id: str | int) -> dict[str, Any]:
        """Feature name -> value of all views; None where a feature is null or its view has no row for its key.

        Raises `UnknownEntity` when a view that the entity itself keys has no row for it (the message never says whom
        was asked about), and `ObjectNotFound` when nothing was published.
        """
        return self.read_all([entity_id])[1][0]

    def read_all(self, entity_ids: Sequence[str | int]) -> tuple[str, list[dict[str, Any]]]:
        """The snapshot that all of the answer comes from, and the features of each entity. Raises as `read` does."""
        with self._lock:
            opened = self._current()
            return opened.repository.snapshot_id, [self._features(opened.store, entity_id) for entity_id in entity_ids]

    def _features(self, store: "feast.FeatureStore", entity_id: str | int) -> dict[str, Any]:
        features: dict[str, Any] = {}
        for view in self._views:
            key = self._key(entity_id) if view.join_key_from is None else features[view.join_key]
            row = None if key is None else _row(store, view, key)
            if row is None and view.join_key_from is None:
                raise UnknownEntity(f"{self._folder.name}: view {view.name!r} has no features of this {self._entity.name}")
            features |= dict.fromkeys(view.features) if row is None else row
        return features

    def _key(self, entity_id: str | int) -> str | int:
        """The id in the entity's type; an id that has no such form is nobody's."""
        text = str(entity_id)
        if not self._entity.type.startswith(("int", "uint")):
            return text
        # Stricter than int(), which takes 1_000 and cuts 1.5; and Feast would quote a number that is too large.
        if WHOLE_NUMBER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
            return int(text)
        raise UnknownEntity(f"{self._folder.name}: a {self._entity.name} is asked for by a whole number ({self._entity.key})")

    def _current(self) -> _Opened:
        """The open repository, or the new current one once the pointer file was replaced. Needs the lock."""
        pointer = _state(self._folder / CURRENT)
        if self._opened is None or self._opened.pointer != pointer:
            self._opened = self._open()
        return self._opened

    def _open(self) -> _Opened:
        """Open the current repository; again when it was replaced, and its folder removed, while we did."""
        feast = import_feast()
        from feast.errors import FeastError  # noqa: PLC0415 - feast takes a second to import

        for attempt in range(OPEN_ATTEMPTS):
            pointer = _state(self._folder / CURRENT)
            repository = current_repository(self._folder)
            try:
                store = feast.FeatureStore(repo_path=str(repository.folder))
                for view in self._views:
                    # Opens the database file now: once open it can be read to the end, even when the folder is removed.
                    _row(store, view, 0 if view.join_key_type.startswith(("int", "uint")) else "")
            except (OSError, sqlite3.Error, FeastError) as error:
                if attempt + 1 < OPEN_ATTEMPTS and pointer != _state(self._folder / CURRENT):
                    continue
                raise CorruptSnapshot(
                    f"Feast repository {repository.folder.name} of {self._folder.name} cannot be read: {type(error).__name__}"
                ) from error
            return _Opened(pointer, repository, store)
        raise AssertionError("the last attempt returns or raises")


def _state(file: Path) -> tuple[int, int, int]:
    """What changes whenever the file is replaced; costs microseconds."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        raise ObjectNotFound(f"no features of {file.parent.name} were published in {file.parent.parent}") from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _row(store: "feast.FeatureStore", view: FeatureView, key: str | int) -> dict[str, Any] | None:
    """The newest row of one view, or None when it has no row for the key."""
    names = list(view.features)
    response = store.get_online_features(features=[f"{view.name}:{name}" for name in names], entity_rows=[{view.join_key: key}])
    values = response.to_dict(include_event_timestamps=True)
    # Feast stamps what it did not find with the epoch; the value alone would not tell a null from a missing row.
    if all(values[f"{name}__ts"][0] == 0 for name in names):
        return None
    return {name: _none_for_nan(values[name][0]) for name in names}


def _none_for_nan(value: Any) -> Any:
    return None if value != value else value
