"""Buckets of the strict server: live and noncurrent generations of objects, and the preconditions on them. No HTTP.

Semantics: Google's "Request preconditions" and "Object Versioning" pages and the reference of each method. Everything
runs in one thread, so that a comparison and the change that it permits are one step.
"""

import base64
import time
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Refused(Exception):
    """An answer other than success: HTTP status, Google's reason, a sentence, and headers that belong to it."""

    def __init__(self, status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.headers = status, reason, headers


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that were taken in: the file that holds them, their size, MD5 and CRC32C (base64, as the API writes them)."""

    path: Path
    size: int
    md5: str | None
    crc32c: str


@dataclass(frozen=True, slots=True)
class Generation:
    """One version of one object; `deleted` is when it became noncurrent, None while it is live."""

    name: str
    number: int
    content: Content
    content_type: str
    created: str
    updated: str
    metageneration: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    deleted: str | None = None

    @property
    def etag(self) -> str:
        """Changes with every generation and metageneration."""
        return base64.b64encode(f"{self.number}/{self.metageneration}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What must hold for a request; None where it does not ask. Zero as a generation means "there is no live version"."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], prefix: str = "if") -> "Preconditions":
        """The preconditions of a query string; `prefix` is `ifSource` for the source of a copy. Raises `Refused` 400."""
        names = ("GenerationMatch", "GenerationNotMatch", "MetagenerationMatch", "MetagenerationNotMatch")
        return cls(*(whole_number(query, prefix + name) for name in names))

    def check(self, found: Generation | None, *, reading: bool) -> None:
        """Raise `Refused`: 412 when one does not hold, and 304 when a read asks for what the caller has already."""
        generation = found.number if found else 0
        # Without a live version there is no metageneration, so none can match; and each is different from it.
        metageneration = found.metageneration if found else None
        if self.generation is not None and self.generation != generation:
            raise Refused(412, "conditionNotMet", f"ifGenerationMatch is {self.generation}, the object has {generation}")
        if self.metageneration is not None and self.metageneration != metageneration:
            raise Refused(412, "conditionNotMet", f"ifMetagenerationMatch is {self.metageneration}, not {metageneration}")
        if self.not_generation == generation or (found and self.not_metageneration == metageneration):
            raise Refused(304 if reading else 412, "conditionNotMet", f"the object has generation {generation}")


def whole_number(query: Mapping[str, str], name: str) -> int | None:
    """A parameter that is a whole number, None where it is absent. Raises `Refused` 400."""
    if name not in query:
        return None
    try:
        return int(query[name])
    except ValueError:
        raise Refused(400, "invalidParameter", f"{name} must be a whole number, not {query[name]!r}") from None


class Bucket:
    """One bucket: its settings as the API shows them, and its objects."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.settings = {**settings, "name": name}
        self.metageneration = 1
        self.created = now()
        self._live: dict[str, Generation] = {}
        self._old: dict[str, list[Generation]] = {}
        self._names: list[str] = []  # sorted; of everything that has a live or noncurrent generation
        self._last = 0

    @property
    def versioned(self) -> bool:
        return bool(self.settings.get("versioning", {}).get("enabled"))

    @property
    def empty(self) -> bool:
        return not self._names

    def find(self, name: str, number: int | None = None) -> Generation | None:
        """The live generation, or the one with this number, live or not."""
        live = self._live.get(name)
        if number is None or (live is not None and live.number == number):
            return live
        return next((old for old in self._old.get(name, ()) if old.number == number), None)

    def get(self, name: str, number: int | None, conditions: Preconditions) -> Generation:
        """The generation that a read asks for. Raises `Refused` with 404, 412 or 304."""
        found = self.find(name, number)
        if found is None:
            raise Refused(404, "notFound", f"No such object: {self.name}/{name}")
        conditions.check(found, reading=True)
        return found

    def put(self, name: str, content: Content, resource: Mapping[str, Any], conditions: Preconditions) -> Generation:
        """Store a new live generation. Raises `Refused` with 412, and then nothing is stored."""
        conditions.check(self.find(name), reading=False)
        self._last = max(self._last + 1, time.time_ns() // 1000)
        moment = now()
        fields = {key: resource[key] for key in FIELDS if key in resource}
        stored = Generation(
            name=name, number=self._last, content=content, created=moment, updated=moment, fields=fields,
            content_type=resource.get("contentType") or "application/octet-stream",
            metadata=dict(resource.get("metadata") or {}),
        )  # fmt: skip
        self._retire(name, moment)
        self._live[name] = stored
        self._know(name)
        return stored

    def patch(self, name: str, number: int | None, resource: Mapping[str, Any], conditions: Preconditions) -> Generation:
        """Change metadata, which counts the metageneration up. Raises `Refused` with 404 or 412."""
        found = self._existing(name, number, conditions)
        metadata = dict(found.metadata)
        if "metadata" in resource:
            # null for the whole removes all of it, null for one key that key.
            merged = {} if resource["metadata"] is None else {**metadata, **resource["metadata"]}
            metadata = {key: value for key, value in merged.items() if value is not None}
        changed = replace(
            found, metageneration=found.metageneration + 1, updated=now(), metadata=metadata,
            content_type=resource.get("contentType", found.content_type),
            fields={**found.fields, **{key: resource[key] for key in FIELDS if key in resource}},
        )  # fmt: skip
        if self._live.get(name) is found:
            self._live[name] = changed
        else:
            self._old[name] = [changed if old is found else old for old in self._old[name]]
        return changed

    def delete(self, name: str, number: int | None, conditions: Preconditions) -> None:
        """Without a number the live version becomes noncurrent (or is gone, unversioned); with one that version is gone.

        Raises `Refused` with 404 or 412.
        """
        found = self._existing(name, number, conditions)
        if number is None:
            self._retire(name, now())
        elif self._live.get(name) is found:
            del self._live[name]
            found.content.path.unlink()
        else:
            self._old[name].remove(found)
            found.content.path.unlink()
        self._forget(name)

    def walk(self, start: str, *, versions: bool) -> Iterator[Generation]:
        """Live generations from the name `start` on, in the order of names; with noncurrent ones, oldest first."""
        for name in self._names[bisect_left(self._names, start) :]:
            yield from self._old.get(name, ()) if versions else ()
            if name in self._live:
                yield self._live[name]

    def _existing(self, name: str, number: int | None, conditions: Preconditions) -> Generation:
        found = self.find(name, number)
        if found is None:
            raise Refused(404, "notFound", f"No such object: {self.name}/{name}")
        conditions.check(found, reading=False)
        return found

    def _retire(self, name: str, moment: str) -> None:
        live = self._live.pop(name, None)
        if live is None:
            return
        if self.versioned:
            self._old.setdefault(name, []).append(replace(live, deleted=moment))
        else:
            live.content.path.unlink()

    def _know(self, name: str) -> None:
        index = bisect_left(self._names, name)
        if self._names[index : index + 1] != [name]:
            insort(self._names, name)

    def _forget(self, name: str) -> None:
        if not self._old.get(name):
            self._old.pop(name, None)
            if name not in self._live:
                del self._names[bisect_left(self._names, name)]


# What an object's resource carries along besides its custom metadata.
FIELDS = ("cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "storageClass", "customTime")


def now() -> str:
    """This moment as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
