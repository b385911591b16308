"""Which of several locations is wrong when they do not hold the same: a quorum of what each of them holds.

With three voices or more the majority names the odd one out. With two that disagree neither is trusted. Whoever cannot
be asked abstains, and whoever holds another generation (an older snapshot, a newer model) is no witness of this one.
What is held, and what it means to agree, the caller says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations


@dataclass(frozen=True, slots=True)
class Holding:
    """What one location holds.

    `generation` tells snapshots of one kind apart that are not meant to be equal: a landing's number, a watermark, a
    model's version. `content` identifies what is held. `voice` is who made it: copies repeat their maker and say nothing
    of their own, so only different voices count; by default each location speaks for itself.
    """

    location: str
    generation: int | str
    content: str
    voice: str = ""

    @property
    def speaker(self) -> str:
        return self.voice or self.location


class Standing(StrEnum):
    """What the quorum says of one location."""

    AGREES = "agrees"
    ALONE = "alone"
    ODD = "odd one out"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Quorum:
    """What the locations that hold one generation say of each other.

    `standings` by location; `other_generation` holds what those have that are no witnesses; `abstained` gives the reason
    of each location that could not be asked or holds nothing. `voices` is how many different ones were heard.
    """

    generation: int | str
    standings: Mapping[str, Standing]
    voices: int
    other_generation: Mapping[str, int | str] = field(default_factory=dict[str, int | str])
    abstained: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def accused(self) -> tuple[str, ...]:
        return self._with(Standing.ODD)

    @property
    def undecided(self) -> tuple[str, ...]:
        return self._with(Standing.UNDECIDED)

    @property
    def agreed(self) -> tuple[str, ...]:
        return self._with(Standing.AGREES)

    def sentence(self) -> str:
        """The verdict for people."""
        if self.undecided:
            told = (
                f"{' and '.join(self.undecided)} disagree and there is no majority: none of them is trusted"
                if self.voices > 2
                else f"{' and '.join(self.undecided)} disagree, and two cannot tell which of them is wrong: neither is trusted"
            )
        elif self.accused:
            told = f"{', '.join(self.accused)} is the odd one out; {', '.join(self.agreed)} agree"
        elif self.agreed:
            told = f"{', '.join(self.agreed)} agree"
        else:
            told = f"{', '.join(self.standings)} has nobody to compare with"
        others = [f"{location} holds {generation}" for location, generation in self.other_generation.items()]
        silent = [f"{location} abstains ({reason})" for location, reason in self.abstained.items()]
        return "; ".join([told, *others, *silent]) + "."

    def _with(self, standing: Standing) -> tuple[str, ...]:
        return tuple(location for location, found in self.standings.items() if found is standing)


def convene(
    holdings: Sequence[Holding],
    generation: int | str,
    agree: Callable[[str, str], bool],
    abstained: Mapping[str, str] | None = None,
) -> Quorum:
    """Have the locations that hold this generation judge each other.

    `agree` says whether two contents are the same; it is asked once per pair, need not be transitive (a tolerance is
    not), and never about contents that are identical. A location is odd when a majority of all voices agrees among itself
    and not with it; of overlapping majorities every member is believed.
    """
    voters = [holding for holding in holdings if holding.generation == generation]
    same = _agreements({holding.content for holding in voters}, agree)
    voices = {holding.speaker for holding in voters}
    # For each voter, the voices that agree with it, its own among them.
    supports = {one.location: {other.speaker for other in voters if (one.content, other.content) in same} for one in voters}
    trusted = {
        other.location
        for one in voters
        if 2 * len(supports[one.location]) > len(voices)
        for other in voters
        if (one.content, other.content) in same
    }
    return Quorum(
        generation=generation,
        standings={holding.location: _standing(holding, trusted, voters) for holding in voters},
        voices=len(voices),
        other_generation={held.location: held.generation for held in holdings if held.generation != generation},
        abstained=dict(abstained or {}),
    )


def _agreements(contents: set[str], agree: Callable[[str, str], bool]) -> set[tuple[str, str]]:
    same = {(content, content) for content in contents}
    for one, other in combinations(sorted(contents), 2):
        if agree(one, other):
            same |= {(one, other), (other, one)}
    return same


def _standing(holding: Holding, trusted: set[str], voters: Sequence[Holding]) -> Standing:
    if len(voters) == 1:
        return Standing.ALONE
    if not trusted:
        return Standing.UNDECIDED
    return Standing.AGREES if holding.location in trusted else Standing.ODD
