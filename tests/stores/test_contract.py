"""What every store keeps: the same tests for all of them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from mock_im_server.domain.actions import (
    STALE_EPOCH,
    Action,
    Claim,
    Clear,
    Draw,
    Effects,
    Leave,
    Need,
    Outcome,
    Peak,
    Quota,
)
from mock_im_server.stores.base import Store
from mock_im_server.stores.memory import MemoryStore
from mock_im_server.stores.redis import RedisStore
from proofs.redis_server import RedisServer

ACCOUNTS = Quota("accounts", 3, 70398)
ACTIVE = Quota("active/1", 2, 72000)


@dataclass(frozen=True)
class Kept:
    """What a journal of two users comes to."""

    last_seq: int = 7
    epoch: int = 0
    members: Sequence[str] = ("a", "b")
    sets: Mapping[str, Sequence[int]] = field(default_factory=lambda: {"accounts": [1, 2], "active/1": [2]})
    counters: Mapping[str, int] = field(default_factory=dict)


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    server = request.getfixturevalue("redis")
    async with Redis.from_url(server.url) as redis:
        yield RedisStore(redis, f"{{{uuid4().hex}}}:")


def login(user: str, epoch: int = 0) -> Action:
    return Action(epoch, (Claim(ACCOUNTS, user), Claim(ACTIVE, user)))


async def test_a_quota_takes_as_many_as_its_limit_and_no_more(store: Store) -> None:
    actions = [Action(0, (Claim(ACCOUNTS, user),)) for user in "abcd"]

    assert [outcome.code for outcome in await store.apply(actions)] == [0, 0, 0, 70398]
    assert await store.sizes(["accounts"]) == [3]


async def test_a_member_takes_one_place_however_often_it_claims(store: Store) -> None:
    outcomes = await store.apply([login("a"), login("a")])

    assert [outcome.added for outcome in outcomes] == [0b11, 0]
    assert outcomes[0].number == outcomes[1].number == 1


async def test_a_store_that_is_given_back_holds_nothing(store: Store) -> None:
    await store.apply([login("a"), login("b")])

    await store.release()

    assert await store.sizes(["accounts", "active/1"]) == [0, 0]
    assert await store.numbers(["a"]) == [0]


async def test_an_action_is_applied_whole_or_not_at_all(store: Store) -> None:
    await store.apply([login("a"), login("b")])

    (outcome,) = await store.apply([login("c")])

    assert outcome == Outcome(seq=3, code=72000, number=0, added=0)
    assert await store.sizes(["accounts", "active/1"]) == [2, 2]


async def test_a_full_quota_still_knows_its_members(store: Store) -> None:
    await store.apply([login("a"), login("b"), login("c")])

    (outcome,) = await store.apply([login("a")])

    assert outcome.code == 0


async def test_refusals_take_numbers_in_the_one_order_too(store: Store) -> None:
    outcomes = await store.apply([login("a"), login("b"), login("c"), Action(0)])

    assert [outcome.seq for outcome in outcomes] == [1, 2, 3, 4]


async def test_an_action_under_an_old_clock_changes_nothing(store: Store) -> None:
    assert await store.next_epoch() == 1

    stale, fresh = await store.apply([login("a", epoch=0), login("b", epoch=1)])

    assert (stale.code, stale.seq) == (STALE_EPOCH, 0)
    assert (fresh.code, fresh.seq) == (0, 1)
    assert await store.sizes(["accounts"]) == [1]


async def test_a_set_that_was_never_used_is_empty(store: Store) -> None:
    assert await store.sizes(["active/9"]) == [0]


async def test_of_100_claims_at_once_exactly_the_limit_pass(store: Store) -> None:
    quota = Quota("rooms", 50, 10036)
    batches = [store.apply([Action(0, (Claim(quota, f"room{number}"),))]) for number in range(100)]

    outcomes = [outcome for (outcome,) in await asyncio.gather(*batches)]

    assert sum(outcome.code == 0 for outcome in outcomes) == 50
    assert sorted(outcome.seq for outcome in outcomes) == list(range(1, 101))


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), max_size=40))
def test_a_store_agrees_with_a_brute_force_model(asked: list[tuple[str, bool]]) -> None:
    accounts: set[str] = set()
    active: set[str] = set()
    expected = []
    for user, is_login in asked:
        full = len(accounts | {user}) > 3
        busy = is_login and len(active | {user}) > 2
        if not full and not busy:
            accounts.add(user)
            active |= {user} if is_login else set()
        expected.append(70398 if full else 72000 if busy else 0)

    async def codes() -> list[int]:
        store = MemoryStore()
        actions = [login(user) if is_login else Action(0, (Claim(ACCOUNTS, user),)) for user, is_login in asked]
        outcomes = await store.apply(actions)
        assert await store.sizes(["accounts", "active/1"]) == [len(accounts), len(active)]
        return [outcome.code for outcome in outcomes]

    assert asyncio.run(codes()) == expected


@pytest.mark.parametrize(("members", "code"), [(2, 0), (3, 70398), (4, 70398)])
async def test_a_quota_at_its_limit_and_one_beside_it(store: Store, members: int, code: int) -> None:
    await store.apply([Action(0, (Claim(ACCOUNTS, f"user{number}"),)) for number in range(members)])

    (outcome,) = await store.apply([Action(0, (Claim(ACCOUNTS, "one-more"),))])

    assert outcome.code == code


async def test_numbers_are_dense_and_stay_with_their_user(store: Store) -> None:
    users = ["a", "b", "a", "c", "b"]
    outcomes = await store.apply([Action(0, (Claim(Quota("all", None, 1), user),)) for user in users])

    assert [outcome.number for outcome in outcomes] == [1, 2, 1, 3, 2]


async def test_a_refused_action_names_a_known_user_by_its_number(store: Store) -> None:
    await store.apply([Action(0, (Claim(ACCOUNTS, "a"),)), login("b"), login("c")])

    known, unknown = await store.apply([login("a"), login("d")])

    assert (known.code, known.number) == (72000, 1)
    assert (unknown.code, unknown.number) == (70398, 0)


ROOMS = Quota("rooms", 2, 10036)


def creation(name: str) -> Action:
    effects = Effects(
        needs=(Need("rooms", name, 10021, is_in=False),),
        draws=(Draw("new", 1, 3, 10006),),
        peaks=(Peak("peak", "rooms"),),
    )
    return Action(0, (Claim(ROOMS, name),), effects)


def destruction(name: str) -> Action:
    effects = Effects(
        needs=(Need("rooms", name, 10010),),
        draws=(Draw("new", -1),),
        leaves=(Leave("rooms", name),),
        clears=(Clear(f"members/{name}", "joined/", name),),
    )
    return Action(0, effects=effects)


async def test_a_need_that_does_not_hold_refuses_the_action_whole(store: Store) -> None:
    outcomes = await store.apply([creation("a"), creation("a"), destruction("b")])

    assert [outcome.code for outcome in outcomes] == [0, 10021, 10010]
    assert await store.sizes(["rooms"]) == [1]
    assert await store.counters(["new"]) == [1]


async def test_a_place_that_is_left_is_free_again_and_a_counter_is_net(store: Store) -> None:
    names = ["a", "b", "c"]
    first = await store.apply([creation(name) for name in names])
    again = await store.apply([destruction("a"), creation("c"), destruction("b"), creation("d"), creation("e")])

    assert [outcome.code for outcome in first] == [0, 0, 10036]
    assert [outcome.code for outcome in again] == [0, 0, 0, 0, 10036]
    assert [outcome.drawn for outcome in again] == [(1,), (2,), (1,), (2,), ()]


async def test_a_counter_refuses_beyond_its_limit_and_leaves_the_claims_undone(store: Store) -> None:
    await store.apply([Action(0, effects=Effects(draws=(Draw("new", 3),)))])

    (outcome,) = await store.apply([creation("a")])

    assert (outcome.code, await store.sizes(["rooms"]), await store.counters(["new"])) == (10006, [0], [3])


async def test_a_peak_stays_when_the_set_shrinks(store: Store) -> None:
    await store.apply([creation("a"), creation("b"), destruction("a"), destruction("b"), creation("c")])

    assert await store.counters(["peak"]) == [2]


async def test_the_end_of_a_relation_takes_the_member_out_of_both_sides(store: Store) -> None:
    await store.apply([Action(0, (Claim(Quota("accounts", None, 0), user),)) for user in "xy"])
    await store.apply([creation("a"), creation("b")])
    joins = [("x", "a"), ("y", "a"), ("x", "b")]
    for user, room in joins:
        claims = Claim(Quota(f"members/{room}", None, 0), user), Claim(Quota(f"joined/{user}", None, 0), room)
        await store.apply([Action(0, claims)])

    await store.apply([destruction("a")])

    assert await store.sizes(["members/a", "joined/x", "joined/y"]) == [0, 1, 0]
    assert await store.members("joined/x") == ["b"]


async def test_a_user_who_comes_back_has_the_number_of_before(store: Store) -> None:
    await store.apply([login("a"), Action(0, effects=Effects(leaves=(Leave("accounts", "a"),)))])

    (again,) = await store.apply([login("a")])

    # Counted on this day already, so that only the account is new.
    assert (again.number, again.added) == (1, 0b01)


async def test_members_of_several_sets_are_counted_once(store: Store) -> None:
    days = [Quota(f"day/{number}", None, 0) for number in range(2)]
    asked = [(days[0], "a"), (days[0], "b"), (days[1], "b"), (days[1], "c")]
    await store.apply([Action(0, (Claim(day, user),)) for day, user in asked])

    assert await store.distinct(["day/0", "day/1", "day/2"]) == 3
    assert await store.distinct([]) == 0
    assert await store.holds("day/0", ["a", "c", "nobody"]) == [True, False, False]
    assert await store.numbers(["c", "nobody"]) == [3, 0]
    assert await store.names([3, 4, 1]) == ["c", "", "a"]


async def test_a_released_store_knows_nobody(store: Store) -> None:
    await store.apply([login("a")])
    assert await store.names([1]) == ["a"]
    await store.release()
    assert await store.names([1]) == [""]
    assert await store.sizes(["accounts"]) == [0]


async def test_a_restored_store_goes_on_where_the_journal_ends(store: Store) -> None:
    await store.restore(Kept())

    first, again, new = await store.apply([login("a"), login("b"), login("c")])

    assert (first.seq, first.number, first.added) == (8, 1, 0b10)
    assert (again.number, again.added) == (2, 0)
    assert (new.code, new.number) == (72000, 0)
    assert await store.sizes(["accounts", "active/1"]) == [2, 2]


members = st.sampled_from("abcde")
sets = st.sampled_from(["accounts", "rooms", "active/1", "members/a", "joined/b"])
quotas = st.sampled_from(
    [
        Quota(name, limit, 70_000 + number)
        for number, (name, limit) in enumerate(
            [("accounts", None), ("accounts", 2), ("rooms", 3), ("active/1", None), ("active/1", 2), ("members/a", 1)]
        )
    ]
)
counters = st.sampled_from(["new", "peak"])
effects = st.builds(
    Effects,
    needs=st.lists(st.builds(Need, sets, members, st.integers(11, 19), st.booleans()), max_size=1).map(tuple),
    draws=st.lists(
        st.builds(Draw, counters, st.integers(-2, 2), st.sampled_from([None, 0, 2]), st.integers(21, 29)), max_size=2
    ).map(tuple),
    leaves=st.lists(st.builds(Leave, sets, members), max_size=2).map(tuple),
    clears=st.lists(
        st.builds(Clear, st.sampled_from(["members/a", "joined/b"]), st.sampled_from(["joined/", "members/"]), members),
        max_size=1,
    ).map(tuple),
    peaks=st.lists(st.builds(Peak, st.just("peak"), sets), max_size=1).map(tuple),
)
actions = st.builds(
    Action,
    st.sampled_from([0, 0, 0, 1]),
    st.lists(st.builds(Claim, quotas, members), max_size=3, unique_by=lambda claim: claim.quota.name).map(tuple),
    st.none() | effects,
)


pairs = st.tuples(quotas, quotas).filter(lambda pair: pair[0].name != pair[1].name)
logins = st.builds(
    lambda pair, members: [Action(0, (Claim(pair[0], member), Claim(pair[1], member))) for member in members],
    pairs,
    st.lists(members, max_size=4),
)


@given(st.lists(st.lists(actions, max_size=6) | logins, max_size=6))
def test_both_stores_do_the_same(redis: RedisServer, batches: list[list[Action]]) -> None:
    async def outcomes(store: Store) -> list[object]:
        found: list[object] = [await store.apply(batch) for batch in batches]
        names = ["accounts", "rooms", "active/1", "members/a", "joined/b"]
        found += [await store.sizes(names), await store.counters(["new", "peak"]), await store.numbers("abcde")]
        return [*found, *[await store.members(name) for name in names], await store.distinct(names[:3])]

    async def of_both() -> tuple[list[object], list[object]]:
        async with Redis.from_url(redis.url) as client:
            return await outcomes(MemoryStore()), await outcomes(RedisStore(client, f"{{{uuid4().hex}}}:"))

    memory, shared = asyncio.run(of_both())
    assert shared == memory
