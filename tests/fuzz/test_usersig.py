"""UserSigs gone wrong: a code of the vendor's, nothing worse, and no more memory than a UserSig may take."""

import base64
import json
import tracemalloc
import zlib

from hypothesis import given
from hypothesis import strategies as st

from mock_im_server.wire import usersig
from tests.fuzzing import examples, gone_wrong
from tests.serving import KEY, REAL_S, SDKAPPID

MAC = usersig.mac_of(KEY)
RIGHT = usersig.sign(MAC, SDKAPPID, "alice", REAL_S, 3_600)
CODES = {0, 70001, 70002, 70003, 70009, 70013, 70014}
MEMORY_BYTES_MAX = 64 * 1024
"""What a UserSig may cost beside its own characters and their translations; zlib's window alone is half of it."""


def checked(signature: str) -> int:
    return usersig.check(MAC, SDKAPPID, "alice", signature, REAL_S)


def as_signature(packed: bytes) -> str:
    return base64.b64encode(packed).decode().translate(str.maketrans("+/=", "*-_"))


def fields() -> object:
    text = RIGHT.translate(str.maketrans("*-_", "+/="))
    return json.loads(zlib.decompress(base64.b64decode(text)))


@examples(200)
@given(st.lists(st.tuples(st.integers(0, len(RIGHT)), st.integers(0, 3), st.text(max_size=2)), max_size=4))
def test_characters_gone_wrong(changes: list[tuple[int, int, str]]) -> None:
    signature = RIGHT
    for at, left_out, put_in in changes:
        signature = signature[:at] + put_in + signature[at + left_out :]

    assert checked(signature) in CODES


@examples(200)
@given(gone_wrong(fields()), st.integers(0, 9))
def test_fields_gone_wrong(text: bytes, level: int) -> None:
    assert checked(as_signature(zlib.compress(text, level))) in CODES


@examples(100)
@given(gone_wrong(fields()), st.data())
def test_packing_gone_wrong(text: bytes, data: st.DataObject) -> None:
    packed = zlib.compress(text)
    cut = data.draw(st.integers(0, len(packed)))
    behind = data.draw(st.binary(max_size=8))

    assert checked(as_signature(packed[:cut] + behind)) in CODES


@examples(20)
@given(st.integers(1, 6_000_000), st.sampled_from([b"\0", b"[", b'{"a":', b" "]), st.integers(0, 3), st.booleans())
def test_a_bomb_of_any_size_takes_no_memory(
    size: int,
    filling: bytes,
    layers: int,
    is_json: bool,  # noqa: FBT001 -- drawn
) -> None:
    packed = (b'{"TLS.sig":"' if is_json else b"") + filling * (size // len(filling))
    for _ in range(layers + 1):
        packed = zlib.compress(packed, 1)
    signature = as_signature(packed)

    tracemalloc.start()
    assert checked(signature) == 70003
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < MEMORY_BYTES_MAX + 8 * len(signature)
