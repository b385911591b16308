"""What a refusal means that boto3's client got. Import this module only where that client is used."""

from botocore.exceptions import ClientError

from mcml_assets.clouds.answers import answered_error
from mcml_assets.domain.errors import McmlError


def refusal(location: str, key: str, error: ClientError) -> McmlError:
    """The platform's error for one of S3's, without the text of its answer."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    return answered_error(location, key, status, code)
