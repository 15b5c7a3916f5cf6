"""The push that moves clients to another access point."""

import json

from mock_im_server.wire import moves


def test_a_move_answers_nothing_and_is_meant_for_everybody_on_the_connection() -> None:
    frame = json.loads(moves.move(1_400_000_001, "sg", 7))

    assert frame["head"] == {"ver": "v4", "servcmd": "im_mock_access.move", "seq": 0, "sdkappid": 1_400_000_001}
    assert frame["body"] == {"AccessPoint": "sg", "Version": 7}
