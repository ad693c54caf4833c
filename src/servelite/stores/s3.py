"""Objects in S3, read and written whole; boto3 is loaded with the first of them."""

from typing import Any, NoReturn

from servelite.core.errors import DefinitionError, Forbidden, NotFound, ServeliteError, ServiceError

CONNECT_S, READ_S, ATTEMPTS = 2, 20, 3
"""How long an attempt waits, and how many there are."""


class S3Objects:
    """The `Objects` port on S3, by boto3: credentials, region and endpoint are what the environment says."""

    def __init__(self) -> None:
        """Make a client; DefinitionError where boto3 is missing, or the surroundings name no region."""
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ModuleNotFoundError as error:
            raise DefinitionError(
                "Objects in S3 are read with boto3, which is missing. Install it with: pip install servelite[aws]"
            ) from error
        self._errors = (BotoCoreError, ClientError)
        config = Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": ATTEMPTS, "mode": "standard"})
        try:
            self._client: Any = boto3.client("s3", config=config)
        except BotoCoreError as error:
            raise DefinitionError(f"S3 can't be asked: {error}") from error

    def get(self, bucket: str, key: str, version: str, most_bytes: int) -> tuple[str, bytes] | None:
        """Return an object's media type and content; see `Objects`."""
        asked = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        try:
            found = self._client.get_object(**asked)
            if found["ContentLength"] > most_bytes:
                found["Body"].close()
                return None
            return found.get("ContentType", "").partition(";")[0].strip().lower(), found["Body"].read()
        except self._errors as error:
            _refuse(error, f"s3://{bucket}/{key} can't be read", "s3:GetObject")

    def put(self, bucket: str, key: str, content: bytes, media_type: str) -> None:
        """Keep an object; see `Objects`."""
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=media_type)
        except self._errors as error:
            _refuse(error, f"s3://{bucket}/{key} can't be written", "s3:PutObject")


def _refuse(error: Exception, told: str, right: str) -> NoReturn:
    """Tell an error of AWS, or of its client, by what it means here."""
    code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
    found: ServeliteError
    if code in ("AccessDenied", "403"):
        found = Forbidden(f"{told}: access is denied. Allow the function's role {right} there.")
    elif code in ("NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"):
        found = NotFound(f"{told}: there is no such object ({code}).")
    else:
        found = ServiceError(f"{told}: {code}. It is worth another try.")
    raise found from error
