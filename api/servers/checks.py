"""What a server may be called and reached by: nothing that is an option to ssh or a template to Ansible."""

import base64
import binascii
import re

from api.problems import permanent
from contracts.errors import ErrorCode
from contracts.nouns import ServerCreate
from contracts.states import ProviderKind, ServerKind, ServerStatus

_PLAIN = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
_MACHINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)?")
_KEY_TYPE = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]{1,60}")
_FIRST = {ServerStatus.PENDING_SETUP, ServerStatus.READY, ServerStatus.MAINTENANCE, ServerStatus.RESERVED,
          ServerStatus.DISCOVERED}  # fmt: skip
"""What a new server can be."""


def new_server(body: ServerCreate) -> ServerCreate:
    """The server with tidy host keys. Raises INVALID_INPUT."""
    if body.port_from > body.port_to:
        raise permanent(ErrorCode.INVALID_INPUT, "`port_from` must not be above `port_to`.")
    for name, value in (("public_ip", body.public_ip), ("ssh_host", body.ssh_host), ("ssh_user", body.ssh_user)):
        if value and not _PLAIN.fullmatch(value):
            raise permanent(ErrorCode.INVALID_INPUT, f"`{name}` must be a plain name or address.")
    if not _MACHINE.fullmatch(body.machine_id):
        raise permanent(ErrorCode.INVALID_INPUT, "`machine_id` must be letters, digits, dots, dashes and underscores.")
    if body.status not in _FIRST:
        raise permanent(ErrorCode.INVALID_INPUT, f"A new server cannot be {body.status.value!r}.")
    if body.kind is ServerKind.MACHINE and body.managed:
        raise permanent(ErrorCode.INVALID_INPUT, "The platform's own machine is never set up by it.")
    if body.provider is ProviderKind.LOCAL and body.kind is not ServerKind.CONTAINER:
        raise permanent(ErrorCode.INVALID_INPUT, "Machines of the provider `local` are of the kind `container`.")
    return body.model_copy(update={"host_key": host_keys(body.host_key)}) if body.host_key else body


def host_keys(text: str) -> str:
    """Type and key in a line for each, without remarks and host names. Raises INVALID_INPUT."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    # A line of known_hosts has the host's name before the key.
    pairs = [line[1:3] if len(line) > 2 and not _KEY_TYPE.fullmatch(line[0]) else line[:2] for line in lines]
    if not pairs or not all(len(pair) == 2 and _KEY_TYPE.fullmatch(pair[0]) and _is_key(*pair) for pair in pairs):
        raise permanent(
            ErrorCode.INVALID_INPUT,
            "A host key is a line such as `ssh-ed25519 AAAA…`, from /etc/ssh/ssh_host_ed25519_key.pub of the machine.",
        )
    return "\n".join(dict.fromkeys(" ".join(pair) for pair in pairs))


def _is_key(kind: str, text: str) -> bool:
    """Whether the key says itself that it is of this type."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    length = int.from_bytes(content[:4], "big")
    return len(content) > 4 + length and content[4 : 4 + length] == kind.encode()
