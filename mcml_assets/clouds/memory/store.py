"""A bucket in this process's memory. Imports obstore: import this module only where a store is opened."""

from obstore.store import MemoryStore as MemoryClient

from mcml_assets.clouds.obstore_store import ObstoreStore


class MemoryStore(ObstoreStore):
    """An `ObjectStore` that lives as long as this object does, with the conditional writes of a real one."""

    def __init__(self, location: str) -> None:
        super().__init__(location, MemoryClient)
