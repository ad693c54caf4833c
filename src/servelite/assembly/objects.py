"""The store of objects that events tell of: S3, by this process's surroundings."""

from servelite.core.ports import Objects


def open_objects() -> Objects:
    """Open S3; DefinitionError where boto3 is missing."""
    from servelite.stores.s3 import S3Objects

    return S3Objects()
