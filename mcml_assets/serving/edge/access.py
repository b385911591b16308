"""Callers as Envoy's configuration: who a request is from, whether it may ask that, and how often. Pure.

Envoy does all of it, with filters of its own. What they go by are three watched files (extension configurations by file),
so that a caller comes, goes, or gets another rate without a restart and without closing a connection. A location's files
know nothing of callers, nor these of locations.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.serving.edge.callers import ANYTHING, AUDIENCE, Caller
from mcml_assets.serving.edge.copies import COPY_HEADER
from mcml_assets.serving.edge.watched import EXTENSIONS, TYPE, Json, discovery, watched
from mcml_assets.serving.golden import SYNTHETIC

CALLER_HEADER = "x-mcml-caller"
CREDENTIALS, PERMISSIONS, RATES = "credentials", "permissions", "rates"
TYPES = {
    CREDENTIALS: f"{EXTENSIONS}.filters.http.jwt_authn.v3.JwtAuthentication",
    PERMISSIONS: f"{EXTENSIONS}.filters.http.rbac.v3.RBAC",
    RATES: f"{EXTENSIONS}.filters.http.local_ratelimit.v3.LocalRateLimit",
}
PROVIDER = "callers"
CLOCK_SKEW_SECONDS = 5  # for which an expired token still opens: clocks of two machines differ
# All who do not say who they are, together: health checks of load balancers, which can send no token.
ANONYMOUS_PER_SECOND = 50
HEALTH_PATH = "/healthz"
READY_PATH = r"/[^/]+/v2/models/[^/]+/ready"
ASKING_PATH = r"/[^/]+/v2/models/[^/]+/(infer|synthetic)"


def unnaming_filter() -> Json:
    """The first filter of every edge: no caller says who it is, nor that its request is a copy."""
    return _header_mutation([{"remove": CALLER_HEADER}, {"remove": COPY_HEADER}])


def access_filters(folder: Path, *, certificates: bool) -> list[Json]:
    """The filters of an edge that asks who calls, in their order; three are told by a file under `folder`."""
    told = {
        name: {"name": name, "config_discovery": {"config_source": watched(_file(folder, name)), "type_urls": [kind]}}
        for name, kind in TYPES.items()
    }
    # After the token, which would take away what stands there; where there are both, the token counts.
    header = {"key": CALLER_HEADER, "value": "%DOWNSTREAM_PEER_URI_SAN%"}
    named_by_certificate = _header_mutation([{"append": {"header": header, "append_action": "ADD_IF_ABSENT"}}])
    return [
        told[CREDENTIALS],
        *([named_by_certificate] if certificates else []),
        told[PERMISSIONS],
        told[RATES],
    ]


def access_files(folder: Path, callers: Iterable[Caller], now: datetime) -> dict[Path, bytes]:
    """Every watched file with its content, in the order in which they may be replaced. Who has expired is left out."""
    current = sorted((caller for caller in callers if not caller.expired(now)), key=lambda caller: caller.name)
    filters = {CREDENTIALS: _credentials(current), PERMISSIONS: _permissions(current), RATES: _rates(current)}
    return {
        _file(folder, name): discovery(
            [
                {
                    "@type": f"{TYPE}.config.core.v3.TypedExtensionConfig",
                    "name": name,
                    "typed_config": {"@type": TYPES[name], **filters[name]},
                }
            ]
        )
        for name in (PERMISSIONS, CREDENTIALS, RATES)
    }


def _credentials(callers: Sequence[Caller]) -> Json:
    """Tokens are verified with public keys alone, one for each token; without one a request goes on as nobody's."""
    keys = [
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": caller.key_id, "x": caller.public_key}
        for caller in callers
        if caller.public_key is not None
    ]
    if not keys:
        return {}  # Envoy refuses a set of no keys; what no key verifies is nobody's, too
    requirements = [{"provider_name": PROVIDER}, {"allow_missing": {}}]
    return {
        "providers": {
            PROVIDER: {
                "audiences": [AUDIENCE],
                "require_expiration": True,
                "clock_skew_seconds": CLOCK_SKEW_SECONDS,
                "local_jwks": {"inline_string": canonical_json({"keys": keys}).decode()},
                "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
                "claim_to_headers": [{"header_name": CALLER_HEADER, "claim_name": "sub"}],
                # A token that was verified is not verified again: an Ed25519 signature takes 0.1 ms.
                "jwt_cache_config": {"jwt_cache_size": 1000},
            }
        },
        "rules": [
            {"match": {"path": HEALTH_PATH}},
            {"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": requirements}}},
        ],
    }


def _permissions(callers: Sequence[Caller]) -> Json:
    """A policy for each caller, one for all known ones, and one for everybody: what nobody needs a name for."""
    policies: dict[str, Json] = {
        # The health checks of a load balancer know no token. They learn where a workload they name is ready.
        "everybody": {
            "permissions": [_path({"exact": HEALTH_PATH}), _path({"safe_regex": {"regex": READY_PATH}})],
            "principals": [{"any": True}],
        }
    }
    if callers:
        policies["known"] = {
            "permissions": [{"not_rule": _path({"safe_regex": {"regex": ASKING_PATH}})}],
            "principals": [_named(caller) for caller in callers],
        }
    for caller in callers:
        verb = SYNTHETIC if caller.synthetic else "infer"
        path = f"/{_any_of(caller.jurisdictions)}/v2/models/{_any_of(caller.workloads)}/{verb}"
        policies[f"caller {caller.name}"] = {
            "permissions": [_path({"safe_regex": {"regex": path}})],
            "principals": [_named(caller)],
        }
    return {"rules": {"action": "ALLOW", "policies": policies}}


def _rates(callers: Sequence[Caller]) -> Json:
    """A bucket for each caller that holds one second's requests, and one for everybody else together."""
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "stat_prefix": "callers",
        "token_bucket": _bucket(ANONYMOUS_PER_SECOND),
        "always_consume_default_token_bucket": False,
        "filter_enabled": always,
        "filter_enforced": always,
        "descriptors": [
            {"entries": [{"key": "caller", "value": caller.name}], "token_bucket": _bucket(caller.requests_per_second)}
            for caller in callers
        ],
        "rate_limits": [
            {"actions": [{"request_headers": {"header_name": CALLER_HEADER, "descriptor_key": "caller"}}]},
        ],
    }


def _bucket(per_second: int) -> Json:
    return {"max_tokens": per_second, "tokens_per_fill": per_second, "fill_interval": "1s"}


def _header_mutation(mutations: list[Json]) -> Json:
    return {
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": f"{EXTENSIONS}.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": mutations},
        },
    }


def _path(match: Json) -> Json:
    return {"url_path": {"path": match}}


def _named(caller: Caller) -> Json:
    return {"header": {"name": CALLER_HEADER, "string_match": {"exact": caller.name}}}


def _any_of(names: Sequence[str]) -> str:
    if ANYTHING in names:
        return "[^/]+"
    return f"({'|'.join(re.escape(name) for name in names)})"


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
