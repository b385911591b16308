"""What `mcml doctor` says of a location's infrastructure: whether the topology names what Terraform made.

What is there is asked by the other checks; here the two descriptions of it are compared. Changes nothing.
"""

from pathlib import Path

from mcml_assets.configuration.infrastructure import differences, outputs_file
from mcml_assets.doctor.checks import Check, State
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location


def infrastructure_check(location: Location, outputs: Path) -> Check:
    """The check `infrastructure`. Raises nothing about the location: outputs that cannot be read make it unknown."""
    if location.store.kind == "local":
        return Check("infrastructure", State.NOT_APPLICABLE, "a folder of this machine")
    try:
        found = list(differences(location, outputs / outputs_file(location.key)))
    except ConfigurationError as error:
        return Check("infrastructure", State.UNKNOWN, str(error), "run it where the location was applied")
    if not found:
        return Check("infrastructure", State.OK, "the topology names what was made")
    said = "; ".join(f"{each.what}: the topology names {each.named}, and {each.made} was made" for each in found)
    return Check("infrastructure", State.ERROR, said, "correct the topology, or apply what `mcml topology export` prints")
