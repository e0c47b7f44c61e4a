"""Every error the bake raises on purpose: each message is one line that names the thing, the value and what is allowed.

.. code-block:: text

    BakeError
    ├── SourceError         the source cannot be had, or is not what was asked for
    ├── CheckpointError     what is in the source cannot be baked
    ├── VocabularyError     the vocabulary cannot be pruned as asked
    ├── VerificationError   the baked model does not do what its source does
    └── OutputError         the result cannot be written
"""


class BakeError(Exception):
    """Base of every error that ends a bake with one line and exit code 1."""


class SourceError(BakeError):
    """The source is not there, cannot be reached, or its bytes are not the ones that were published."""


class CheckpointError(BakeError):
    """The source is complete, and nothing this project can serve."""


class VocabularyError(BakeError):
    """The vocabulary cannot be pruned as asked."""


class VerificationError(BakeError):
    """The baked model answers otherwise than its source."""


class OutputError(BakeError):
    """The result cannot be written where it was asked for."""
