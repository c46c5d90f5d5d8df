"""Makes the bucket of Pellucid's files where it is not there yet: python bucket.py NAME.

The environment says where and as whom, as for Pellucid itself: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...
"""

from __future__ import annotations

import sys

import boto3
from botocore.exceptions import ClientError


def make_bucket(name: str) -> None:
    """Makes the bucket, unless it is ours already; raises ClientError where it is somebody else's."""
    store = boto3.client("s3")
    try:
        store.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        store.create_bucket(Bucket=name)


if __name__ == "__main__":
    make_bucket(sys.argv[1])
