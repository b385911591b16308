"""Problems: the JSON in which the endpoints and the edge say what was wrong (RFC 9457). Pure, and without values."""

import json
from dataclasses import dataclass
from http import HTTPStatus

PROBLEM_MEDIA_TYPE = "application/problem+json"
INVALID_REQUEST = "urn:mcml:invalid-request"
UNKNOWN_ENTITY = "urn:mcml:unknown-entity"
FEATURES_UNAVAILABLE = "urn:mcml:features-unavailable"
NOT_ROUTED = "urn:mcml:not-routed"
WRONG_JURISDICTION = "urn:mcml:wrong-jurisdiction"
NO_LOCATION = "urn:mcml:no-location-answers"
OUTAGE = "urn:mcml:planned-outage"
UNKNOWN_CALLER = "urn:mcml:unknown-caller"
NOT_ALLOWED = "urn:mcml:caller-not-allowed"
TOO_MANY_REQUESTS = "urn:mcml:too-many-requests"


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal: HTTP status, its type's URI (`about:blank` when the status says all), and a sentence."""

    status: int
    type: str = "about:blank"
    detail: str = ""

    def to_json(self) -> str:
        """The body of the answer; `detail` is left out when there is none."""
        members = {"type": self.type, "title": HTTPStatus(self.status).phrase, "status": self.status}
        return json.dumps(members | ({"detail": self.detail} if self.detail else {}))
