"""``SHA256SUMS``, a file that a publisher may have laid beside others, in the form of coreutils' ``sha256sum``."""

import re

CHECKSUMS = "SHA256SUMS"


def parse_checksums(text: str) -> dict[str, str]:
    """Return the hashes in the text of such a file, by file name.

    Raises:
        ValueError: A line is not a hash and a name.
    """
    hashes = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line)
        if match is None:
            message = f"{line[:80]!r} is not a SHA-256 hash and a file name"
            raise ValueError(message)
        hashes[match[2]] = match[1].lower()
    return hashes
