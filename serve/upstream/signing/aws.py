"""AWS: every request is signed (Signature Version 4) with credentials of botocore's chain: environment, profile, web identity, container, instance.

Source: docs.aws.amazon.com, "AWS Signature Version 4 for API requests"; botocore 1.44.5, read 2026-11-24.
"""

from collections.abc import Mapping

from serve.errors import ConfigurationError
from serve.upstream.signing.signer import CredentialsUnavailable

_REFRESH_S = 60.0
_SERVICE = "bedrock"


class AwsSigner:
    """Signs for one AWS region.

    Args:
        region: Of AWS: `eu-central-1`.
        profile: Of the shared configuration; None: as the environment says.

    Raises:
        ConfigurationError: botocore is not installed, or the profile is unknown.
    """

    name = "AWS"

    def __init__(self, region: str, profile: str | None = None) -> None:
        try:
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.exceptions import BotoCoreError
            from botocore.session import Session
        except ModuleNotFoundError:
            raise ConfigurationError("signing for AWS needs botocore: pip install 'llmdeal[aws]'") from None
        self._auth = SigV4Auth
        self._request = AWSRequest
        self._error = BotoCoreError
        self._region = region
        try:
            self._session = Session(profile=profile)
            self._session.get_scoped_config()
        except BotoCoreError as error:
            raise ConfigurationError(f"AWS: {error}") from None
        self._credentials: object | None = None

    def sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """See `Signer.sign`."""
        if self._credentials is None:
            raise CredentialsUnavailable("there are no AWS credentials yet")
        request = self._request(method="POST", url=url, data=body, headers=dict(headers))
        self._auth(self._credentials, _SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())

    def refresh(self) -> float:
        """Take a copy of the credentials; botocore renews those that expire, which is what may take time."""
        try:
            found = self._session.get_credentials()
            self._credentials = None if found is None else found.get_frozen_credentials()
        except self._error as error:
            raise CredentialsUnavailable(f"no credentials could be had: {type(error).__name__}") from None
        if self._credentials is None:
            raise CredentialsUnavailable("no credentials in the environment, the shared configuration or the instance")
        return _REFRESH_S
