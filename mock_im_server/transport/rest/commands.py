"""The table of all commands: what the door serves and what the OpenAPI document describes."""

from collections.abc import Mapping
from typing import Final

from mock_im_server.transport.rest import accounts, groups
from mock_im_server.transport.rest.command import Command

COMMANDS: Final[Mapping[str, Command]] = {command.name: command for command in (*accounts.COMMANDS, *groups.COMMANDS)}
"""By `service/command`."""
