"""Which code opens a location's bucket: one line per cloud. The only module that knows the clouds by name.

What a store can do is in `interfaces.py`, how a cloud does it in its own folder. SDKs load when a store is opened.
"""

from collections.abc import Callable, Mapping

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location, Topology, did_you_mean

LOCAL = "local"


def open_store(location: Location, settings: Settings) -> ObjectStore:
    """The bucket of a location. Creates nothing, and asks nothing of the location before the first use.

    Raises `ConfigurationError` when the profile has no way to reach the location's cloud.
    """
    cloud = LOCAL if settings.profile == LOCAL else location.cloud
    try:
        opener = _OPENERS[cloud]
    except KeyError:
        raise ConfigurationError(
            f"profile {settings.profile!r} cannot open {location.key}: no object store is known for cloud {cloud!r}"
            f"{did_you_mean(cloud, _OPENERS)}"
        ) from None
    return opener(location, settings)


def provision(topology: Topology, settings: Settings) -> tuple[str, ...]:
    """Make the local clouds' buckets that never existed, and return them as `<cloud>/<bucket>`.

    One that was made and is gone stays gone: that is an outage. Buckets of real clouds are made with the rest of their
    infrastructure, not here.
    """
    if settings.profile != LOCAL:
        return ()
    # Only a process that uses stores needs it.
    from mcml_assets.clouds.local.provisioning import make_buckets  # noqa: PLC0415

    buckets = (f"{location.cloud}/{location.bucket}" for location in topology.locations.values())
    return make_buckets(settings.clouds_folder, buckets)


def _open_local(location: Location, settings: Settings) -> ObjectStore:
    from mcml_assets.clouds.local.store import LocalStore  # noqa: PLC0415 - loads obstore

    return LocalStore(location.key, settings.clouds_folder / location.cloud / location.bucket)


_OPENERS: Mapping[str, Callable[[Location, Settings], ObjectStore]] = {
    LOCAL: _open_local,
}
