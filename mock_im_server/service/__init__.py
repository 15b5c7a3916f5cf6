"""The use cases of an app, one method per verb."""

from mock_im_server.service.app import App, LoginRequest, PlanRefusedError
from mock_im_server.service.groups import NewGroup
from mock_im_server.service.messages import Message, Sent
from mock_im_server.service.notices import Notice, StateChange
from mock_im_server.service.origin import Origin

__all__ = ["App", "LoginRequest", "Message", "NewGroup", "Notice", "Origin", "PlanRefusedError", "Sent", "StateChange"]
