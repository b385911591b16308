"""In which order views are joined when the key of one is a feature of another. Pure."""

from collections.abc import Mapping

from mcml_assets.domain.errors import ConfigurationError


def after_their_keys(key_from: Mapping[str, str | None]) -> list[str]:
    """View names, each after the view that supplies its key; `key_from` is view -> that view, or None for the caller.

    Raises `ConfigurationError` when views wait for each other, or for one that is not there.
    """
    ordered: dict[str, None] = {}
    while len(ordered) < len(key_from):
        ready = [view for view, source in key_from.items() if view not in ordered and (source is None or source in ordered)]
        if not ready:
            waiting = {view: source for view, source in key_from.items() if view not in ordered}
            raise ConfigurationError(f"join_key_from leads nowhere for views {waiting}")
        ordered |= dict.fromkeys(ready)
    return list(ordered)
