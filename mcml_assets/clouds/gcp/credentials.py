"""How a Google location is entered: a service account's key file, or the identity Google gives the pod or machine.

The chain is google-auth's application default, which is also what dagster-gcp builds its resource on;
`resources/credentials.py` gives that. Imports google-auth: import this module only where a store is opened.
"""

from typing import TYPE_CHECKING

from google.auth.exceptions import GoogleAuthError

from mcml_assets.clouds.secrets import Entered, credential_value, optional_value, unknown_method
from mcml_assets.domain.errors import ConfigurationError, CredentialsRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.auth.credentials import Credentials

SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
PLATFORM = ("https://www.googleapis.com/auth/cloud-platform",)


def google_credentials(location: Entered, scopes: "Sequence[str]" = SCOPES) -> "Credentials":
    """The location's credentials for these scopes; they renew themselves.

    Raises `ConfigurationError` for a key file that cannot be read or a variable that is not set, `CredentialsRejected`
    when this machine has no identity.
    """
    method = location.store.credentials.method
    if method == "emulator":
        from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - one method's module each

        return AnonymousCredentials()
    if method == "key_file":
        return _from_key_file(location, credential_value(location, "path"), scopes)
    if method != "workload_identity":
        raise unknown_method(location)
    import google.auth  # noqa: PLC0415 - one method's module each

    account = optional_value(location, "service_account")
    try:
        ambient, _ = google.auth.default(scopes=PLATFORM if account else scopes)
    except GoogleAuthError:
        raise CredentialsRejected(location.key, "this machine has no Google identity; attach one, or log in") from None
    if account is None:
        return ambient
    from google.auth.impersonated_credentials import Credentials as Impersonated  # noqa: PLC0415 - the same

    return Impersonated(source_credentials=ambient, target_principal=account, target_scopes=list(scopes))


def _from_key_file(location: Entered, path: str, scopes: "Sequence[str]") -> "Credentials":
    from google.oauth2.service_account import Credentials  # noqa: PLC0415 - one method's module each

    try:
        return Credentials.from_service_account_file(path, scopes=scopes)
    except OSError as error:
        raise ConfigurationError(f"{location.key}: the key file {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, AttributeError):  # the last for JSON that is no object
        raise ConfigurationError(f"{location.key}: {path} is no key file of a service account; download it again") from None
