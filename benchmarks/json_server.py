"""The yardstick of REST: a bare aiohttp handler that reads JSON and answers JSON, on uvloop. Prints its port."""

import asyncio

import uvloop
from aiohttp import web

from benchmarks.rest_client import PATH


async def _answer(request: web.Request) -> web.Response:
    body = await request.json()
    assert "UserID" in body
    return web.json_response({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0})


async def _greet(request: web.Request) -> web.Response:
    return web.json_response({"place": request.query.get("country", "")})


async def _serve() -> None:
    app = web.Application()
    app.router.add_post(PATH, _answer)
    app.router.add_get("/dispatch", _greet)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4_096).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve())
