"""What can be asked of a bucket that is a folder: nothing, as its protection is the machine's."""

from mcml_assets.clouds.inspection import Fact, Protection


class LocalInspector:
    """A `BucketInspector` of a folder."""

    @property
    def address(self) -> None:
        """There is no service."""
        return

    def protection(self, key: str) -> Protection:
        """Not applicable, all of it."""
        return Protection(
            region=Fact("not_applicable", "a folder is where this machine is"),
            encryption=Fact("not_applicable", "a folder is as encrypted as its disk"),
            versioning=Fact("not_applicable", "a folder keeps no old versions"),
            public_access=Fact("not_applicable", "a folder is not served"),
        )

    def purge(self, key: str) -> int:
        """There are no old versions."""
        return 0
