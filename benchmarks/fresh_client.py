"""The harness's own trunk, one connection for each login. A process of its own, so that gevent stays there."""

import sys
import time

from gevent.pool import Pool

from benchmarks.login_frames import payload
from im_load.trunk import Trunk
from mock_im_server.settings import DEMO_APP

AT_ONCE = 100


def _login(port: int, user: int) -> None:
    trunk = Trunk(f"ws://127.0.0.1:{port}", f"{user:032x}", DEMO_APP.sdkappid)
    trunk.open()
    trunk.send([payload(user, 1)])
    assert trunk.read_one(30) is not None, "every login is answered"
    trunk.say_goodbye()


def main() -> None:
    port, first, count = map(int, sys.argv[1:])
    pool = Pool(AT_ONCE)
    began = time.perf_counter()
    for user in range(first, first + count):
        pool.spawn(_login, port, user)
    pool.join(raise_error=True)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
