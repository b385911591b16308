"""Who may do what on the strict server: service accounts with keys, tokens for signed assertions, and permissions.

The exchange is OAuth's JWT bearer grant (RFC 7523), as Google's clients speak it with a service account's key file.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from mcml_assets.emulation.strict_gcs.generations import Refused

TOKEN_SECONDS = 3600
# What Google's clients sign for, wherever the token service of the key file is.
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Account:
    """A service account: its e-mail, its public key (PEM), and the one bucket it works on; `*` owns the project."""

    email: str
    public_key: str
    bucket: str


def read_accounts(path: Path) -> dict[str, Account]:
    """The accounts of a file `[{email, public_key, bucket}]`, by e-mail."""
    return {entry["email"]: Account(**entry) for entry in json.loads(path.read_bytes())}


class Tokens:
    """Tokens that were given out; a restart forgets them, and clients then ask again."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._given: dict[str, tuple[Account, float]] = {}

    def exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        """A token for a signed assertion. Raises `Refused` 400 `invalid_grant`, as Google's token service answers."""
        if form.get("grant_type") != GRANT:
            raise Refused(400, "unsupported_grant_type", f"only {GRANT} is served")
        try:
            assertion = form.get("assertion", "")
            claims = jwt.decode(assertion, verify=False)
            account = self._accounts.get(str(claims.get("iss")))
            if account is None:
                raise Refused(400, "invalid_grant", "Invalid grant: account not found")
            jwt.decode(assertion, certs=account.public_key, audience=AUDIENCE)
        except (GoogleAuthError, ValueError) as error:
            raise Refused(400, "invalid_grant", f"Invalid JWT: {error}") from error
        token = secrets.token_urlsafe(32)
        self._given[token] = (account, time.time() + TOKEN_SECONDS)
        return {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}

    def require(self, authorization: str | None, bucket: str, *, owner: bool = False) -> None:
        """Raise `Refused`: 401 without a valid token, 403 when its account may not do this in this bucket.

        A location's account may read its own bucket's settings and do everything with its objects; `owner` is asked for
        what only the project's owner does: making, changing and deleting buckets.
        """
        kind, _, token = (authorization or "").partition(" ")
        account, expires = self._given.get(token, (None, 0.0))
        if kind != "Bearer" or account is None or expires < time.time():
            raise Refused(401, "authError", "Invalid Credentials")
        if account.bucket != "*" and (owner or account.bucket != bucket):
            raise Refused(403, "forbidden", f"{account.email} does not have access to the bucket {bucket}")
