"""The push that asks a client to go to another access point. Ours: the vendor's is not known."""

from typing import Final

import msgspec

MOVE: Final = "im_mock_access.move"


def move(sdkappid: int, access_point: str, version: int) -> bytes:
    """`seq` 0 answers nothing, and no session is named: it is meant for everybody on the connection.

    `version` is the routing table's, so that a client that has asked since need not ask again.
    """
    head = {"ver": "v4", "servcmd": MOVE, "seq": 0, "sdkappid": sdkappid}
    return msgspec.json.encode({"head": head, "body": {"AccessPoint": access_point, "Version": version}})
