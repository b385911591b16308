"""Making the buckets of the local cloud, once: afterwards a missing one is an outage, and nothing makes it anew.

Which locations have which buckets is the topology's business, reading and writing them `store.py`'s.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from mcml_assets.clouds.local import folder
from mcml_assets.domain.errors import ConfigurationError

MARKER = "provisioned.json"


def make_buckets(clouds_folder: Path, buckets: Iterable[str]) -> tuple[str, ...]:
    """Make those buckets, written `<cloud>/<bucket>`, that never existed, and return them.

    What was made is recorded in a marker file beside them, after it was made: a crash in between is repaired by the
    next call. Raises `ConfigurationError` when the marker is unreadable, `OSError` when the folder is not writable.
    """
    wanted = dict.fromkeys(buckets)
    if wanted.keys() <= _made(clouds_folder):
        return ()
    clouds_folder.mkdir(parents=True, exist_ok=True)
    with folder.opened(clouds_folder) as root, folder.locked(root, MARKER):
        made = _made(clouds_folder)
        missing = tuple(bucket for bucket in wanted if bucket not in made)
        for bucket in missing:
            with folder.opened_below(root, bucket):
                pass  # opening makes it
        record = json.dumps({"buckets": sorted(made.union(missing))}, indent=2) + "\n"
        with folder.staged(root, [record.encode()]) as (staging, name):
            folder.publish(staging, name, root, MARKER)
    return missing


def _made(clouds_folder: Path) -> frozenset[str]:
    marker = clouds_folder / MARKER
    try:
        return frozenset(json.loads(marker.read_bytes())["buckets"])
    except FileNotFoundError:
        return frozenset()
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f'{marker} does not list the buckets that were made, as {{"buckets": ["<cloud>/<bucket>", …]}}: {error}'
        ) from error
