"""The vendor's REST API: a door, and a module for each of the vendor's services."""

from mock_im_server.transport.rest import openapi
from mock_im_server.transport.rest.door import BODY_BYTES_MAX, Rest

__all__ = ["BODY_BYTES_MAX", "Rest", "openapi"]
