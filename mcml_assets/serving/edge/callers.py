"""Callers: who may ask the edge for what, how they prove who they are, and how often they may ask. One YAML file for each.

A token is a signed JWT whose private key is thrown away as soon as it has signed: what is kept is the public half, which
opens nothing. So there is no secret here that could be read, or guessed byte by byte from how long a comparison takes.
How Envoy is told is `access.py`'s business.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from mcml_assets.configuration.problems import Problem, configuration_error, shape_problems
from mcml_assets.configuration.yaml_lines import read_yaml
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.serving.folder import write_atomically

AUDIENCE = "mcml"
ANYTHING = "*"
# The two kinds of names never meet: who has a certificate cannot pass for somebody who has a token.
NAME_AS_WORD = r"^[a-z0-9][a-z0-9._-]{0,62}$"
NAME_AS_URI = r"^[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/-]{1,200}$"

Credential = Literal["token", "certificate"]


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller. `name` is the token's subject, or the URI in the certificate's subject alternative name.

    `workloads` and `jurisdictions` may be `*`. With `synthetic` a caller makes synthetic transactions only.
    `public_key` (base64url, 32 bytes of Ed25519) verifies a token, and is None for a certificate.
    """

    name: str
    credential: Credential
    public_key: str | None
    expires: datetime | None
    workloads: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    requests_per_second: int
    synthetic: bool
    file: Path

    @property
    def key_id(self) -> str:
        """Names the key in the head of a token."""
        return sha256((self.public_key or "").encode()).hexdigest()[:16]

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires


class CallerModel(BaseModel):
    """A caller as people read it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Who it is: the token's subject, or the URI in the certificate's alternative name.")
    credential: Credential = Field(description="How it proves that: token or certificate.")
    public_key: str | None = Field(None, description="Public half of the key that signed the token, as `mcml caller add` says.")
    expires: AwareDatetime | None = Field(None, description="When it may ask no more, with time zone; a token must have one.")
    workloads: list[str] = Field(description='Workloads that it may ask about; ["*"] for all.', min_length=1)
    jurisdictions: list[str] = Field(description='Jurisdictions that it may ask in; ["*"] for all.', min_length=1)
    requests_per_second: int = Field(description="How often it may ask, for a second and at once.", gt=0, le=1_000_000)
    synthetic: bool = Field(False, description="Whether it makes synthetic transactions, and nothing else.")


def read_callers(folder: Path) -> tuple[tuple[Caller, ...], tuple[ConfigurationError, ...]]:
    """The callers of a folder by name, and what is wrong with the files that could not be read: their callers may ask nothing.

    Of two files with the same name neither counts. No folder is no caller.
    """
    found: dict[str, list[Caller]] = {}
    errors: list[ConfigurationError] = []
    for file in caller_files(folder):
        try:
            caller = read_caller(file)
        except ConfigurationError as error:
            errors.append(error)
        else:
            found.setdefault(caller.name, []).append(caller)
    for name, callers in found.items():
        if len(callers) > 1:
            others = ", ".join(str(caller.file) for caller in callers[1:])
            errors.append(ConfigurationError(f"{callers[0].file}:1: name: {name!r} is the name in {others} as well"))
    return tuple(callers[0] for _, callers in sorted(found.items()) if len(callers) == 1), tuple(errors)


def caller_files(folder: Path) -> Iterator[Path]:
    """The file of every caller, in order."""
    yield from sorted(folder.glob("*.yaml"))


def read_caller(file: Path) -> Caller:
    """One caller. Raises `ConfigurationError` with one line `<file>:<line>: <key>: ...` per problem."""
    document = read_yaml(file)
    try:
        model = CallerModel.model_validate(document.data)
    except ValidationError as error:
        raise configuration_error(document, shape_problems(error, CallerModel)) from None
    problems = list(_problems(model))
    if problems:
        raise configuration_error(document, problems)
    return Caller(
        name=model.name,
        credential=model.credential,
        public_key=model.public_key,
        expires=model.expires,
        workloads=tuple(sorted(set(model.workloads))),
        jurisdictions=tuple(sorted(set(model.jurisdictions))),
        requests_per_second=model.requests_per_second,
        synthetic=model.synthetic,
        file=file,
    )


def write_caller(folder: Path, caller: Caller) -> Path:
    """Keep a caller. Raises `ConfigurationError` when it would not be read again, or when somebody has its name already."""
    if caller.name in {other.name for other in read_callers(folder)[0]} or caller.file.exists():
        raise ConfigurationError(f"{caller.name!r} is a caller already: revoke it first, or choose another name")
    document = {
        "name": caller.name,
        "credential": caller.credential,
        "public_key": caller.public_key,
        "expires": caller.expires,
        "workloads": list(caller.workloads),
        "jurisdictions": list(caller.jurisdictions),
        "requests_per_second": caller.requests_per_second,
        "synthetic": caller.synthetic or None,
    }
    kept = {key: value for key, value in document.items() if value is not None}
    # Read before it counts: a file of another name is no caller's.
    draft = caller.file.with_suffix(".new")
    write_atomically(draft, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))
    try:
        read_caller(draft)
        draft.rename(caller.file)
    except ConfigurationError as error:
        # The draft is gone when this is read; what is wrong is what was asked for.
        raise ConfigurationError(re.sub(rf"^{re.escape(str(draft))}:[0-9]+: ", "", str(error), flags=re.MULTILINE)) from None
    finally:
        draft.unlink(missing_ok=True)
    return caller.file


def revoke_caller(folder: Path, name: str) -> Caller:
    """Take a caller away. Raises `ConfigurationError` when nobody has this name."""
    callers = {caller.name: caller for caller in read_callers(folder)[0]}
    if name not in callers:
        raise ConfigurationError(f"{name!r} is no caller in {folder}{did_you_mean(name, list(callers))}")
    callers[name].file.unlink()
    return callers[name]


def file_name(name: str) -> str:
    """A file for a caller: its name, with everything that a file system could mind replaced."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") + ".yaml"


def new_token(name: str, expires: datetime) -> tuple[str, str]:
    """A token for a caller, and the public key that verifies it. The private key is forgotten here: there is no second one."""
    import jwt  # noqa: PLC0415 - cryptography, only when a caller is added
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - the same
    from jwt.algorithms import OKPAlgorithm  # noqa: PLC0415 - the same

    private = Ed25519PrivateKey.generate()
    public_key: str = json.loads(OKPAlgorithm.to_jwk(private.public_key()))["x"]
    claims = {"sub": name, "aud": AUDIENCE, "iat": datetime.now(UTC), "exp": expires}
    key_id = sha256(public_key.encode()).hexdigest()[:16]
    return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": key_id}), public_key


def _problems(model: CallerModel) -> Iterator[Problem]:
    pattern = NAME_AS_WORD if model.credential == "token" else NAME_AS_URI
    if not re.fullmatch(pattern, model.name):
        right = (
            "lower-case letters, digits, '.', '_' and '-'" if model.credential == "token" else "a URI, as spiffe://mcml/batch"
        )
        yield Problem(("name",), f"{model.name!r} cannot be the name of a caller with a {model.credential}: it must be {right}")
    if model.credential == "token":
        if model.expires is None:
            yield Problem(("expires",), "a token must have a time when it expires")
        if model.public_key is None or not _is_public_key(model.public_key):
            yield Problem(
                ("public_key",), "must be an Ed25519 public key (32 bytes, base64url), as `mcml caller add` writes it"
            )
    elif model.public_key is not None:
        yield Problem(("public_key",), "a caller with a certificate has no key here: its authority vouches for it")


def _is_public_key(text: str) -> bool:
    # 32 bytes are 43 digits, of which the last carries 4 bits: the others of it are zero.
    return re.fullmatch(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", text) is not None
