"""UserSigs: made here and by the official generator, and every way to refuse one."""

import base64
import json
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from TLSSigAPIv2 import TLSSigAPIv2

from mock_im_server.wire import usersig

KEY = "test-key-not-a-real-secret"
APP = 1_400_000_000
USER = "user_0001"
ISSUED = 1_700_000_000
MAC = usersig.mac_of(KEY)


def checked(signature: str, *, now_s: int = ISSUED, app: int = APP, user: str = USER, key: str = KEY) -> int:
    return usersig.check(usersig.mac_of(key), app, user, signature, now_s)


def unpacked(signature: str) -> dict[str, object]:
    text = signature.replace("*", "+").replace("-", "/").replace("_", "=")
    fields: dict[str, object] = json.loads(zlib.decompress(base64.b64decode(text)))
    return fields


def packed(fields: object, level: int = 6) -> str:
    data = base64.b64encode(zlib.compress(json.dumps(fields).encode(), level)).decode()
    return data.replace("+", "*").replace("/", "-").replace("=", "_")


def test_the_published_vector_is_reproduced() -> None:
    fields = unpacked(usersig.sign(MAC, APP, USER, ISSUED, 86_400))

    assert fields["TLS.sig"] == "T0VzHRDCDZc/e8iq5kiOsb84Egkr9aid3k7/E5BLWtg="


def test_the_official_generator_logs_in() -> None:
    api = TLSSigAPIv2(APP, KEY)
    signature = api.gen_sig(USER, 86_400)
    issued = unpacked(signature)["TLS.time"]
    assert isinstance(issued, int)

    assert checked(signature, now_s=issued) == 0


@pytest.mark.parametrize("level", range(10))
def test_only_decoded_values_count(level: int) -> None:
    fields = unpacked(usersig.sign(MAC, APP, USER, ISSUED, 86_400))

    assert checked(packed(dict(reversed(fields.items())), level)) == 0


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        (usersig.sign(MAC, APP, USER, ISSUED - 100, 99), 70001),
        ("", 70002),
        ("not a signature", 70003),
        ("bm90LXpsaWI_", 70003),
        ("ü", 70003),
        (packed({"TLS.account_type": "0", "TLS.identifier": USER}), 70003),
        (packed([]), 70003),
        (usersig.sign(MAC, APP, USER, ISSUED, 86_400)[:-8], 70003),
        (usersig.sign(usersig.mac_of("another"), APP, USER, ISSUED, 86_400), 70009),
        (usersig.sign(MAC, APP, "user_0002", ISSUED, 86_400), 70013),
        (usersig.sign(MAC, APP + 1, USER, ISSUED, 86_400), 70014),
    ],
)
def test_each_fault_has_its_code(signature: str, code: int) -> None:
    assert checked(signature) == code


def test_a_signature_holds_up_to_its_last_second() -> None:
    signature = usersig.sign(MAC, APP, USER, ISSUED, 100)

    assert checked(signature, now_s=ISSUED + 100) == 0
    assert checked(signature, now_s=ISSUED + 101) == 70001


def test_another_app_is_told_before_another_user_before_expiry() -> None:
    signature = usersig.sign(MAC, APP, USER, ISSUED, 1)

    assert checked(signature, app=APP + 1, user="x", now_s=ISSUED + 9) == 70014
    assert checked(signature, user="x", now_s=ISSUED + 9) == 70013


def test_a_zlib_bomb_is_malformed() -> None:
    bomb = base64.b64encode(zlib.compress(b" " * 10_000_000)).decode()

    assert checked(bomb.replace("+", "*").replace("/", "-").replace("=", "_")) == 70003


def test_the_key_is_its_text_and_may_be_longer_than_a_block() -> None:
    key = "k" * 100

    assert checked(usersig.sign(usersig.mac_of(key), APP, USER, ISSUED, 9), key=key) == 0


def test_the_official_generator_would_have_signed_the_same() -> None:
    fields = unpacked(usersig.sign(MAC, APP, USER, ISSUED, 86_400))
    official = TLSSigAPIv2(APP, KEY)._TLSSigAPIv2__hmacsha256(USER, ISSUED, 86_400)

    assert fields == {
        "TLS.ver": "2.0",
        "TLS.identifier": USER,
        "TLS.sdkappid": APP,
        "TLS.expire": 86_400,
        "TLS.time": ISSUED,
        "TLS.sig": official.decode(),
    }


@pytest.mark.parametrize("userbuf", [b"", b"abc", bytes(range(256))])
def test_a_userbuf_is_signed_with_the_rest(userbuf: bytes) -> None:
    signature = TLSSigAPIv2(APP, KEY).gen_sig_with_userbuf(USER, 86_400, userbuf)
    fields = unpacked(signature)
    assert isinstance(fields["TLS.time"], int)

    assert checked(signature, now_s=fields["TLS.time"]) == 0
    assert checked(packed(fields | {"TLS.userbuf": "eA=="}), now_s=fields["TLS.time"]) == 70009


@pytest.mark.parametrize(
    "fields",
    [
        {"TLS.time": 1.5},
        {"TLS.expire": "86400"},
        {"TLS.sdkappid": str(APP)},
        {"TLS.sig": None},
        {"TLS.identifier": 7},
    ],
)
def test_fields_of_another_type_are_malformed(fields: dict[str, object]) -> None:
    good = unpacked(usersig.sign(MAC, APP, USER, ISSUED, 86_400))

    assert checked(packed(good | fields)) == 70003


@given(st.text() | st.binary().map(lambda data: base64.b64encode(zlib.compress(data)).decode()))
@example(packed("[" * 4_000))
@example(base64.b64encode(zlib.compress(b"[" * 4_000)).decode())
@example(base64.b64encode(zlib.compress(b'{"TLS.identifier":"\xff"}')).decode())
def test_no_text_is_more_than_malformed(signature: str) -> None:
    assert checked(signature) in {70002, 70003}


@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True),
    st.integers(1, 2**32 - 1),
    st.integers(0, 2**33),
    st.integers(0, 2**31),
    st.text(min_size=1, max_size=200).filter(str.isprintable),
)
def test_what_is_signed_holds(user: str, app: int, issued_s: int, expire_s: int, key: str) -> None:
    signature = usersig.sign(usersig.mac_of(key), app, user, issued_s, expire_s)

    assert checked(signature, now_s=issued_s, app=app, user=user, key=key) == 0
