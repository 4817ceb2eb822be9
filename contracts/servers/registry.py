"""What is known of servers beside their rows: what opens them, by which keys they are known, whose they are."""

from pydantic import AwareDatetime, Field, SecretStr

from contracts.base import Contract, Identifier, YesNo
from contracts.project_spec import SecretName


class HostKey(Contract):
    """The public keys of a machine, a line for each: type and key, such as `ssh-ed25519 AAAA…`."""

    host_key: str = Field(min_length=1, max_length=4_000)


class ServerManagement(Contract):
    """Whether the platform may set a machine up, and change it."""

    managed: YesNo


class ServerCredentialWrite(Contract):
    value: SecretStr = Field(min_length=1, max_length=65_536)


class ServerCredentialDTO(Contract):
    """Never the value."""

    server_handle: Identifier
    name: SecretName
    updated_at: AwareDatetime


class ServerCredentialList(Contract):
    items: list[ServerCredentialDTO]


class ServerCredentialValue(Contract):
    """Platform only."""

    value: str


class ProviderLoginValue(Contract):
    """Platform only: what opens an account at a provider."""

    username: str
    password: str
