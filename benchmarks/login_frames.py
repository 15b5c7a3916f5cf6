"""Login frames with real UserSigs, made before the clock starts."""

import time

from websockets.frames import Frame, Opcode

from mock_im_server.settings import DEMO_APP
from mock_im_server.wire import usersig

MAC = usersig.mac_of(DEMO_APP.key)


def payload(user: int, seq: int) -> bytes:
    user_id = f"user_{user:08d}"
    signature = usersig.sign(MAC, DEMO_APP.sdkappid, user_id, int(time.time()) - 60, 86_400)
    return (
        f'{{"head":{{"ver":"v4","platform":7,"sdkappid":{DEMO_APP.sdkappid},"contenttype":"json","status_instid":1,'
        f'"servcmd":"im_open_status.wslogin","seq":{seq},"identifier":"{user_id}","usersig":"{signature}"}},'
        f'"body":{{"State":"Online"}}}}'
    ).encode()


def frames(first: int, count: int) -> list[bytes]:
    """Masked WebSocket frames, ready for the socket."""
    return [
        Frame(Opcode.BINARY, payload(user, user - first + 1)).serialize(mask=True)
        for user in range(first, first + count)
    ]
