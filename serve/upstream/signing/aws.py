"""AWS: every request is signed (Signature Version 4).

The credentials come from botocore's chain: environment, profile, web identity, container, instance.

Source: docs.aws.amazon.com, "AWS Signature Version 4 for API requests"; botocore 1.44.5, read 2026-11-24.
"""

from collections.abc import Mapping
from typing import Any

from serve.errors import ConfigurationError
from serve.upstream.signing.signer import CredentialsUnavailable
from serve.upstream.signing.stored import AwsKeys

_REFRESH_S = 60.0
_SERVICE = "bedrock"
_IDENTITY_SERVICE = "sts"


class AwsSigner:
    """Signs for one AWS region.

    Args:
        region: AWS region, such as `eu-central-1`.
        profile: Profile in the shared configuration of AWS; None: the one that the environment names.
        keys: Keys that replace botocore's chain; None: the chain is used.

    Raises:
        ConfigurationError: botocore is not installed, or the profile is unknown.
    """

    name = "AWS"

    def __init__(self, region: str, profile: str | None = None, keys: AwsKeys | None = None) -> None:
        try:
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import Credentials
            from botocore.exceptions import BotoCoreError
            from botocore.session import Session
        except ModuleNotFoundError as error:
            raise ConfigurationError("signing for AWS needs botocore: pip install 'llmdeal[aws]'") from error
        self._auth = SigV4Auth
        self._request = AWSRequest
        self._error = BotoCoreError
        self._region = region
        self._own: Any = None
        if keys is not None:
            self._own = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
            self._credentials: Any = self._own.get_frozen_credentials()
            return
        try:
            self._session = Session(profile=profile)
            self._session.get_scoped_config()
        except BotoCoreError as error:
            raise ConfigurationError(f"AWS: {error}") from error
        self._credentials = None

    def sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """See `Signer.sign`."""
        if self._credentials is None:
            raise CredentialsUnavailable("there are no AWS credentials yet")
        request = self._request(method="POST", url=url, data=body, headers=dict(headers))
        self._auth(self._credentials, _SERVICE, self._region).add_auth(request)
        return {name: value for name, value in request.headers.items() if name not in headers}

    def refresh(self) -> float:
        """Take a copy of the credentials. Botocore renews those that expire, which may take time."""
        if self._own is not None:
            return _REFRESH_S
        try:
            credentials = self._session.get_credentials()
            self._credentials = None if credentials is None else credentials.get_frozen_credentials()
        except self._error as error:
            # Not the cause itself: its text may be what a program of the operator printed, credentials included.
            raise CredentialsUnavailable(f"no credentials could be fetched: {type(error).__name__}") from None
        if self._credentials is None:
            raise CredentialsUnavailable("no credentials in the environment, the shared configuration or the instance")
        return _REFRESH_S

    def sign_identity_call(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers of a POST to AWS's Security Token Service, which says whose credentials these are.

        The call costs nothing.
        """
        headers = {"content-type": "application/x-www-form-urlencoded"}
        request = self._request(method="POST", url=url, data=body, headers=headers)
        self._auth(self._credentials, _IDENTITY_SERVICE, self._region).add_auth(request)
        return dict(request.headers.items())
