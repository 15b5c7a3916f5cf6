"""Counts in Redis (or Valkey), for any number of server processes.

What must happen whole happens in one script (`apply.lua`), which also appends what it did to a stream of events. Calls
that wait for the same answer share one round trip. All keys of an app bear one tag, so that a cluster spreads apps.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import count
from typing import Any, Final

import msgspec
import numpy as np
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from mock_im_server.domain.actions import STALE_EPOCH, Action, Outcome, Quota
from mock_im_server.stores.base import Snapshot, StoreAwayError

SMALL_SETS: Final = ("members/", "joined/", "live/", "owned/")
"""Beginnings of the names of sets of one user or one group; `apply.lua` knows them too."""
SCRIPT: Final = files(__package__).joinpath("apply.lua").read_text(encoding="utf-8")
REMEMBERED_MAX: Final = 200_000
"""Members whose numbers are kept at hand."""
NO_ANSWER: Final = (RedisError, RedisClusterException, RuntimeError)
"""What a client of Redis, or of a cluster, raises while it does not answer.

RuntimeError is uvloop's word for a connection that has closed just before it is written to.
"""
AWAY: Final = (*NO_ANSWER, OSError)
ENDED_EPOCH: Final = -(1 << 40)
ENDED_S: Final = 60
_AT_ONCE: Final = 1_000
"""Members that one command names."""


class RedisStore:
    """The store of one app."""

    def __init__(self, redis: Redis, prefix: str, server: str = "") -> None:
        """All keys begin with `prefix`, which holds a `{tag}`; `server` names this process in the events."""
        self._redis = redis
        self._prefix = prefix
        self._server = server
        self._script = redis.register_script(SCRIPT)
        self._waiting: list[tuple[Sequence[Action], asyncio.Future[list[Outcome]]]] = []
        self._sending: asyncio.Task[None] | None = None
        self._batch = 0
        self.on_lost: Callable[[int], None] = _nobody
        """Told of each batch whose outcome never arrived: no row of this process will stand for it."""
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode

    async def apply(self, actions: Sequence[Action]) -> list[Outcome]:
        """As the contract says; raises StoreAwayError."""
        if not actions:
            return []
        done: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((actions, done))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await done

    async def next_epoch(self) -> int:
        epoch = int(await self._do("INCR", self._prefix + "epoch"))
        if epoch < 0:
            # Else what is done under it would begin the app's keys anew.
            message = "the app was reset meanwhile"
            raise StoreAwayError(message)
        return epoch

    async def sizes(self, names: Sequence[str]) -> list[int]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                if name.startswith(SMALL_SETS):
                    pipe.scard(self._set(name))
                else:
                    pipe.hget(self._prefix + "sizes", name)
            return [int(size or 0) for size in await answered(pipe.execute())]

    async def distinct(self, names: Sequence[str]) -> int:
        if not names:
            return 0
        union = self._prefix + "union"
        async with self._redis.pipeline(transaction=True) as pipe:
            # Not `bitop`, which the client of a cluster refuses wherever the keys are.
            pipe.execute_command("BITOP", "OR", union, *map(self._bits, names))
            pipe.bitcount(union)
            pipe.delete(union)
            _, count, _ = await answered(pipe.execute())
        return int(count)

    async def counters(self, names: Sequence[str]) -> list[int]:
        return await self._numbers_in("counters", names)

    async def members(self, name: str) -> list[str]:
        if name.startswith(SMALL_SETS):
            return await self.names(sorted(map(int, await self._do("SMEMBERS", self._set(name)))))
        bits = await self._do("GET", self._bits(name)) or b""
        return await self.names(np.flatnonzero(np.unpackbits(np.frombuffer(bits, np.uint8))).tolist())

    async def holds(self, name: str, members: Sequence[str]) -> list[bool]:
        numbers = await self.numbers(members)
        async with self._redis.pipeline(transaction=False) as pipe:
            for number in numbers:
                if name.startswith(SMALL_SETS):
                    pipe.sismember(self._set(name), str(number))
                else:
                    pipe.getbit(self._bits(name), number)
            return [bool(found) for found in await answered(pipe.execute())]

    async def numbers(self, members: Sequence[str]) -> list[int]:
        found = {member: number for member in members if (number := self._numbers.get(member))}
        if missing := [member for member in members if member not in found]:
            asked = await self._numbers_in("numbers", missing)
            fresh = {member: number for member, number in zip(missing, asked, strict=True) if number}
            self._remember(fresh)
            found |= fresh
        return [found.get(member, 0) for member in members]

    async def names(self, numbers: Sequence[int]) -> list[str]:
        found = {number: name for number in numbers if (name := self._names.get(number))}
        if missing := [number for number in numbers if number not in found]:
            names: list[bytes] = []
            for part in _parts(missing):
                names += await self._do("HMGET", self._prefix + "names", *part)
            # None: the app was reset meanwhile, and what is asked here will not be needed.
            fresh = {number: name.decode() for number, name in zip(missing, names, strict=True) if name is not None}
            self._remember({name: number for number, name in fresh.items()})
            found |= fresh
        return [found.get(number, "") for number in numbers]

    def _remember(self, numbers: Mapping[str, int]) -> None:
        """A member's number never changes, so that what was asked for once need not be asked for again."""
        if len(self._numbers) + len(numbers) > REMEMBERED_MAX:
            self.forget()
        self._numbers.update(numbers)
        self._names.update((number, name) for name, number in numbers.items())

    def forget(self) -> None:
        """Free what is at hand in this process."""
        self._numbers.clear()
        self._names.clear()

    async def release(self) -> None:
        """Delete the app's keys, some at a time.

        For a while an epoch stays that nobody has: who has not heard of the end yet must not begin them anew.
        """
        self.forget()
        epoch = self._prefix + "epoch"
        await self._do("SET", epoch, ENDED_EPOCH, "EX", ENDED_S)
        async for key in self._redis.scan_iter(match=f"{self._prefix}*", count=_AT_ONCE):
            if key != epoch.encode():
                await self._do("UNLINK", key)

    async def restore(self, snapshot: Snapshot) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(self._prefix + "seq", snapshot.last_seq)
            pipe.set(self._prefix + "epoch", snapshot.epoch)
            for part in _parts([*zip(snapshot.members, count(1), strict=False)]):
                pipe.hset(self._prefix + "numbers", mapping=dict(part))
                pipe.hset(self._prefix + "names", mapping={str(number): name for name, number in part})
            if snapshot.counters:
                pipe.hset(self._prefix + "counters", mapping=dict(snapshot.counters))
            for name, numbers in snapshot.sets.items():
                if not len(numbers):
                    continue
                if name.startswith(SMALL_SETS):
                    pipe.sadd(self._set(name), *map(str, numbers))
                else:
                    held = np.fromiter(numbers, np.int64, len(numbers))
                    bits = np.zeros(int(held.max()) + 1, np.uint8)
                    bits[held] = 1
                    pipe.set(self._bits(name), np.packbits(bits).tobytes())
                    pipe.hset(self._prefix + "sizes", name, str(int(bits.sum())))
            await answered(pipe.execute())

    async def _send(self) -> None:
        """One batch after the other, so that outcomes come in the order in which they were asked for."""
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            self._batch += 1
            actions = [action for part, _ in waiting for action in part]
            try:
                arguments = [self._encode(_packed(actions)), self._server, self._batch]
                outcomes = self._outcomes(await self._script(keys=[self._prefix], args=arguments))
            except AWAY as error:
                self.on_lost(self._batch)
                await drop_idle(self._redis)
                for _, done in waiting:
                    if not done.done():
                        done.set_exception(StoreAwayError(f"Redis does not answer: {error}"))
                continue
            at = 0
            for part, done in waiting:
                if not done.done():
                    done.set_result(outcomes[at : at + len(part)])
                at += len(part)
        self._sending = None

    def _outcomes(self, reply: bytes) -> list[Outcome]:
        seq, flat, draws = self._decode(reply)
        drawn = {at: tuple(counters) for at, counters in draws}
        outcomes = []
        for at, (code, number, added) in enumerate(zip(flat[::3], flat[1::3], flat[2::3], strict=True)):
            if code == STALE_EPOCH:
                outcomes.append(Outcome(0, code, 0, 0))
            else:
                outcomes.append(Outcome(seq, code, number, added, drawn.get(at, ())))
                seq += 1
        return outcomes

    async def _numbers_in(self, table: str, names: Sequence[str]) -> list[int]:
        found: list[Any] = []
        for part in _parts(names):
            found += await self._do("HMGET", self._prefix + table, *part)
        return [int(number or 0) for number in found]

    def _set(self, name: str) -> str:
        return f"{self._prefix}set/{name}"

    def _bits(self, name: str) -> str:
        return f"{self._prefix}bits/{name}"

    async def _do(self, *command: object) -> Any:  # noqa: ANN401 -- as Redis answers
        return await answered(self._redis.execute_command(*command))


def _nobody(_batch: int) -> None:
    return


def let_end() -> None:
    """End a task that was told to end while it waited for Redis.

    The client forgets it where an answer comes at that moment (`asyncio.wait_for` before Python 3.12 does).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def drop_idle(redis: Redis) -> None:
    """Close connections that nobody uses: after a restart of Redis, each would fail once.

    The client's own ways wait for their end, and hand them out meanwhile: who is given one fails as nothing else does.
    """
    if isinstance(redis, RedisCluster):
        idle = [connection for node in redis.get_nodes() for connection in node._free]  # noqa: SLF001 -- as above
    else:
        idle = [*redis.connection_pool._available_connections]  # noqa: SLF001 -- as above
    for connection in idle:
        await connection.disconnect(nowait=True)


async def answered(asking: Awaitable[Any]) -> Any:  # noqa: ANN401 -- as Redis answers
    """What Redis answers to what must not be asked twice. Raises StoreAwayError."""
    try:
        return await asking
    except AWAY as error:
        message = f"Redis does not answer: {error}"
        raise StoreAwayError(message) from error
    finally:
        let_end()


def _packed(actions: Sequence[Action]) -> list[tuple[Any, ...]]:
    """The actions as `apply.lua` takes them: a row of logins as its quotas and its UserIDs, a quarter of the bytes."""
    packed: list[tuple[Any, ...]] = []
    quotas: tuple[Quota, Quota] | None = None
    epoch = 0
    members: list[str] = []
    for action in actions:
        claims = action.claims
        if action.effects is not None or len(claims) != 2 or claims[0].member is not claims[1].member:  # noqa: PLR2004 -- account and day
            quotas = None
            packed.append(action)
            continue
        (first, member), (second, _) = claims
        if quotas is None or first is not quotas[0] or second is not quotas[1] or action.epoch != epoch:
            quotas, epoch, members = (first, second), action.epoch, []
            packed.append((epoch, quotas, members, True))
        members.append(member)
    return packed


def unpacked(batch: Sequence[Sequence[Any]]) -> Iterator[tuple[Sequence[Any], Any]]:
    """Claims and effects of each action in a batch of `_packed`."""
    for entry in batch:
        if len(entry) > 3:  # noqa: PLR2004 -- a row of actions that are alike
            _, quotas, members, _ = entry
            for member in members:
                yield [(quota, member) for quota in quotas], None
        else:
            yield entry[1], entry[2]


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(items), _AT_ONCE):
        yield items[at : at + _AT_ONCE]
