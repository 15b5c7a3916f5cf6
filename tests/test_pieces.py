"""Large containers are freed a piece at a time, and others run in between."""

import asyncio

from mock_im_server.pieces import PIECE, emptied


async def test_containers_and_large_ones_in_them_are_emptied() -> None:
    inner = set(range(2 * PIECE + 1))
    small = {1}
    numbers = dict.fromkeys(range(3 * PIECE), small) | {-1: inner}
    names = [str(number) for number in range(PIECE + 1)]
    await emptied(numbers, names, set())
    assert (numbers, names, inner, small) == ({}, [], set(), {1})


async def test_others_run_after_each_piece() -> None:
    numbers = dict.fromkeys(range(10 * PIECE))
    freeing = asyncio.create_task(emptied(numbers))
    sizes = []
    while not freeing.done():
        await asyncio.sleep(0)
        sizes.append(len(numbers))
    assert sizes[:10] == [left * PIECE for left in range(9, -1, -1)]
