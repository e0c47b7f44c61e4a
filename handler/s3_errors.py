"""What boto3 raises, in one line of this project's own words; here alone it is known what its errors are."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from handler.errors import DownloadError

_CREDENTIALS = "the credentials are refused; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_DENIED = "access is denied; it takes s3:ListBucket for the bucket and s3:GetObject for the files"
_GONE = "it is no longer there; start again"
_REPLACED = "it was replaced after it had been listed; start again"
_REFUSALS = {
    "403": _DENIED,
    "404": _GONE,
    "412": _REPLACED,
    "AccessDenied": _DENIED,
    "ExpiredToken": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "NoSuchBucket": "there is no such bucket; check its name and AWS_ENDPOINT_URL_S3",
    "NoSuchKey": _GONE,
    "PreconditionFailed": _REPLACED,
    "SignatureDoesNotMatch": _CREDENTIALS,
}
"""Codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; a HEAD gets a status only."""


@contextmanager
def refusals(url: str) -> Iterator[None]:
    """Turn what boto3 raises into one line; here alone it is known what its errors are."""
    from botocore import exceptions  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        yield
    except exceptions.ClientError as error:
        refusal = error.response["Error"]
        said = f"the store answers {refusal['Code']}: {refusal.get('Message', '')}"
        message = f"{url}: {_REFUSALS.get(refusal['Code'], said)}"
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        message = f"{url}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    except (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError, HTTPError) as error:
        message = f"{url}: {error}; check the network and AWS_ENDPOINT_URL_S3, or try again"
    except exceptions.BotoCoreError as error:
        message = f"{url}: {error}"
    else:
        return
    raise DownloadError(one_line(message)) from None


def one_line(message: object) -> str:
    """Return a message without line breaks, and without the password of a URL in it."""
    return re.sub(r"//[^/@\s]*@", "//", " ".join(str(message).split()))
