"""The table of all commands: what the door serves and what the OpenAPI document describes."""

from collections.abc import Mapping
from itertools import chain
from typing import Final

from mock_im_server.transport.rest import accounts, group_messages, groups, members, openim, profile, statistics
from mock_im_server.transport.rest.command import Command

_SERVICES: Final = (accounts, openim, profile, groups, members, group_messages, statistics)

COMMANDS: Final[Mapping[str, Command]] = {
    command.name: command for command in chain.from_iterable(service.COMMANDS for service in _SERVICES)
}
"""By `service/command`."""
