"""References to large things: transcripts, logs, test reports. History holds the reference, never the content."""

from pydantic import Field

from contracts.base import Contract


class ArtifactRef(Contract):
    """`uri` is `artifact://<sha256>/<name>`; content is addressed by its SHA-256."""

    uri: str = Field(pattern=r"^artifact://[0-9a-f]{64}/[A-Za-z0-9._-]{1,100}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    media_type: str = "text/plain"
