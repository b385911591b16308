"""Every error the platform raises on purpose, and what each one allows.

The class says who may act on it: `LocationUnavailable` may be answered by another cloud, `TransientError` by a
retry in the same place, `PermanentError` by a person only. Bad data is bad in every cloud, so nothing that
describes data or configuration belongs under the first two. Errors of a provider's SDK are translated under
`clouds/` and never leave it.
"""


class McmlError(Exception):
    """Root of the platform's errors; never raised itself."""


class LocationUnavailable(McmlError):
    """A location does not answer. Another cloud can do the work: fail over.

    `location` is the key of the location (`aws/eu-west-2`), or of the bucket where no location is known.
    """

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(f"{location} is unavailable: {reason}")
        self.location, self.reason = location, reason

    def __reduce__(self) -> tuple[type["LocationUnavailable"], tuple[str, str]]:
        """How it gets from one process to another: by default an error is made anew from its message alone."""
        return type(self), (self.location, self.reason)


class CredentialsRejected(LocationUnavailable):
    """A location answers, but refuses this location's credentials: revoked, expired or insufficient.

    Each location has credentials of its own, so another cloud does the work meanwhile: this is a location that is down
    for us, until a person renews them. Credentials that were never configured are a `ConfigurationError` instead.
    """


class TransientError(McmlError):
    """The same request may succeed here in a moment: retry in place, with backoff."""


class PreconditionFailed(TransientError):
    """A conditional put lost: somebody else wrote the object since it was read (HTTP 409 and 412)."""


class RegisterUnavailable(TransientError):
    """The register of acting locations cannot be read or written now: most of its stores do not answer, or disagree.

    Nobody knows then who is acting, so nothing may move: it is no kind of `LocationUnavailable`, and another cloud is no
    answer to it. A retry in place is. `may_have_happened` tells of a change that it is not known whether it took hold:
    the same change, asked for again with the same request id, finds out and happens once in all.
    """

    def __init__(self, message: str, *, may_have_happened: bool = False) -> None:
        super().__init__(message)
        self.may_have_happened = may_have_happened


class PermanentError(McmlError):
    """Repeating the work, here or elsewhere, gives the same failure: stop, and tell a person."""


class ObjectNotFound(PermanentError):
    """A store has no object under this key."""


class ContractViolation(PermanentError):
    """Data does not fulfil the workload's contract."""


class ResidencyViolation(PermanentError):
    """Data would leave the jurisdiction it belongs to."""


class CorruptSnapshot(PermanentError):
    """Stored bytes differ from what the manifest promises, or the manifest cannot be read."""


class ConfigurationError(PermanentError):
    """Something a person wrote is wrong; the message says where, and what would be right."""


class StaleEpoch(PermanentError):
    """A writer carries an older epoch than the pointer, the route or the register it wants to move: it was fenced."""


class ModelRejected(PermanentError):
    """A model does not give the predictions, or does not reach the quality, that its package promises."""


class UnknownEntity(PermanentError):
    """The online store has no features for the entity that was asked about; the message never says which one."""
