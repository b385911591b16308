"""Which names objects may have: those that every cloud stores as they are."""

from mcml_assets.domain.errors import ConfigurationError


def check_key(key: str) -> str:
    """The key itself. Raises `ConfigurationError` for one that some cloud would refuse, or take for another one.

    Azure drops dots and backslashes at the end of a name, and takes a backslash for a slash.
    """
    if not key.isprintable() or "\\" in key or any(part == "" or part.endswith(".") for part in key.split("/")):
        raise ConfigurationError(
            f"{key!r} cannot be a key: it must be printable parts between single slashes, none of which ends with a dot, "
            "and no backslash"
        )
    return key
