"""Frames as the official SDK sends and takes them; what is none never does harm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from mock_im_server.wire import frames
from mock_im_server.wire.frames import INT16_MAX, INT64_MAX, MALFORMED, Head

LOGIN_OF_THE_SDK = (
    b'{"head":{"ver":"v4","platform":7,"websdkappid":537048168,"websdkversion":"1.7.3","status_instid":0,'
    b'"sdkappid":1400000000,"contenttype":"json","reqtime":1795401899,"identifier":"user_0001","usersig":"dummy-sig",'
    b'"sdkability":75689843,"sdkability_ext":"","cappid":0,"cs":0,"servcmd":"im_open_status.wslogin","seq":89897877},'
    b'"body":{"State":"Online","is_web_uniapp":0,"InstType":0,"CustomInfo":""}}'
)


def a_frame(**head: object) -> bytes:
    return json.dumps({"head": {"servcmd": "heartbeat.alive", "seq": 1, **head}, "body": {}}).encode()


def test_a_login_of_the_sdk_is_understood() -> None:
    assert frames.decode(LOGIN_OF_THE_SDK).head == Head(
        servcmd="im_open_status.wslogin",
        seq=89_897_877,
        sdkappid=1_400_000_000,
        identifier="user_0001",
        usersig="dummy-sig",
        platform=7,
    )


def test_a_login_is_answered_with_what_the_sdk_needs() -> None:
    head = frames.decode(LOGIN_OF_THE_SDK).head
    answer = json.loads(frames.login_answer(head, number=5, instance=77, a2="c0ffee", now_s=1_795_401_899))
    assert answer == {
        "head": {
            "ver": "v4",
            "servcmd": "im_open_status.wslogin",
            "seq": 89_897_877,
            "sdkappid": 1_400_000_000,
            "status_instid": 77,
            "tinyid": "144115188075855877",
        },
        "body": {
            "ActionStatus": "OK",
            "ErrorCode": 0,
            "ErrorInfo": "",
            "A2Key": "c0ffee",
            "TinyId": "144115188075855877",
            "InstId": 77,
            "HelloInterval": 120,
            "TimeStamp": 1_795_401_899,
            "ClientTime": 1_795_401_899,
            "BizSigInfo": "",
        },
    }


def test_an_answer_echoes_command_and_seq_and_names_its_session() -> None:
    head = Head("sns.black_list_get", 9, sdkappid=1_400_000_000, tinyid="144115188075855877", status_instid=77)
    assert json.loads(frames.answer(head, 0, "", {"StartIndex": 0})) == {
        "head": {
            "ver": "v4",
            "servcmd": "sns.black_list_get",
            "seq": 9,
            "sdkappid": 1_400_000_000,
            "status_instid": 77,
            "tinyid": "144115188075855877",
        },
        "body": {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "StartIndex": 0},
    }


def test_a_refusal_carries_code_and_text() -> None:
    answer = json.loads(frames.answer(Head("x.y", 1), 70398, "too many"))
    assert answer["body"] == {"ActionStatus": "FAIL", "ErrorCode": 70398, "ErrorInfo": "too many"}
    assert "tinyid" not in answer["head"]


@pytest.mark.parametrize(
    "head",
    [
        {"seq": 0},
        {"seq": INT64_MAX},
        {"status_instid": INT64_MAX},
        {"platform": INT16_MAX},
        {"sdkappid": INT64_MAX},
    ],
)
def test_numbers_that_the_journal_can_hold_are_taken(head: dict[str, object]) -> None:
    frames.decode(a_frame(**head))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"head":{}}',
        b'{"head":{"servcmd":"a.b","seq":1}} trailing',
        b'{"head":{"servcmd":"a.b","seq":1,"identifier":"\xff\xfe"}}',
        b'{"head":{"servcmd":"a.b","seq":1,"identifier":"\\ud800"}}',
        b'{"head":{"servcmd":"a.b","seq":1},"body":' + b"[" * 60_000,
        b'{"head":{"servcmd":"a.b","seq":1},"body":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        a_frame(seq=-1),
        a_frame(seq=INT64_MAX + 1),
        a_frame(seq=10**30),
        a_frame(seq=1.5),
        a_frame(seq=True),
        a_frame(seq=None),
        a_frame(status_instid=-1),
        a_frame(status_instid=INT64_MAX + 1),
        a_frame(platform=INT16_MAX + 1),
        a_frame(platform=-1),
        a_frame(sdkappid="1400000001"),
        a_frame(identifier=7),
    ],
)
def test_what_is_no_request_is_malformed(data: bytes) -> None:
    with pytest.raises(MALFORMED):
        frames.decode(data)
    frames.echoed(data)


@given(st.binary())
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        frames.decode(data)
    except MALFORMED:
        frames.echoed(data)


@pytest.mark.parametrize(
    ("data", "head"),
    [
        (a_frame(seq=7, platform=-1), Head("heartbeat.alive", 7)),
        (a_frame(servcmd=None, seq=7), Head("", 7)),
        (a_frame(seq=-7), Head("heartbeat.alive", 0)),
        (a_frame(seq=True), Head("heartbeat.alive", 0)),
        (a_frame(seq=10**30), Head("heartbeat.alive", 0)),
        (b"{}", Head("", 0)),
        (b"garbage", Head("", 0)),
    ],
)
def test_a_malformed_request_is_answered_by_what_can_be_read_of_it(data: bytes, head: Head) -> None:
    assert frames.echoed(data) == head


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_websocket_messages_are_what_a_client_reads(size: int) -> None:
    payload = b"x" * size
    reader = StreamReader()
    reader.feed_data(frames.websocket_message(payload))
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    frame = parsed.value.value
    assert (frame.opcode, frame.fin, frame.data) == (2, True, payload)
