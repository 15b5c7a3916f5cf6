"""Doors of the server: REST, the WebSocket gateway and the control API."""
