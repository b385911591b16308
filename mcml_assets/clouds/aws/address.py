"""Where a location's S3 answers."""

from mcml_assets.domain.topology import Location


def service_address(location: Location) -> str:
    """The service's URL: the topology's endpoint, or AWS's own in the region."""
    return location.store.endpoint or f"https://s3.{location.region}.amazonaws.com"
