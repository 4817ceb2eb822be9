"""The interfaces that are served, by path."""

from emulators.model.exchange import Format
from emulators.model.formats.chat import Chat
from emulators.model.formats.messages import Messages
from emulators.model.formats.responses import Responses

FORMATS: dict[str, Format] = {
    "/v1/messages": Messages(),
    "/v1/responses": Responses(),
    "/v1/chat/completions": Chat(),
}
