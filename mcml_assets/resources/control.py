"""What failing over needs of a platform, from the resources of a tick or a check."""

from typing import TYPE_CHECKING

from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    from mcml_assets.failover.control import Control


def control_of(stores: CloudStores, endpoints: Endpoints) -> "Control":
    """The control of the platform that these resources reach."""
    # A run loads this module as well, and probes nobody.
    from mcml_assets.failover.control import Control  # noqa: PLC0415 - only who probes needs it
    from mcml_assets.failover.probing import shared_prober  # noqa: PLC0415 - opens object stores
    from mcml_assets.serving.platforms import PlacedPlatforms  # noqa: PLC0415 - only who asks endpoints

    settings = stores.settings
    platform = PlacedPlatforms(stores.topology, endpoints.settings)
    return Control(settings, stores.topology, stores.register, stores.snapshots, platform, shared_prober(settings))
