"""The TLS listener: clients with the vendor's host built in find it under its name."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import requests
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from mock_im_server.settings import Settings
from tests.serving import SDKAPPID, Server, Wire, a_server, a_usersig, some_settings

EXAMPLE = Path(__file__).parent.parent / "examples" / "connect_proxy.py"
COMMAND = "v4/im_open_login_svc/account_import"
QUERY = {"sdkappid": str(SDKAPPID), "identifier": "administrator", "usersig": a_usersig("administrator")}


def with_tls(tmp_path: Path) -> Settings:
    return replace(some_settings(data_dir=tmp_path), tls_port=0)


@contextmanager
def a_proxy(server: Server) -> Iterator[str]:
    assert server.running.tls_url is not None
    to = server.running.tls_url.removeprefix("https://")
    command = [sys.executable, str(EXAMPLE), "--port", "0", "--to", to]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


class EverythingIsHere(AbstractResolver):
    """What a line in the hosts file does."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # type: ignore[override]  # the base names a socket family
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None: ...


@pytest.mark.holds("tls")
async def test_a_client_through_a_proxy_reaches_the_vendors_host_here(tmp_path: Path) -> None:
    async with a_server(with_tls(tmp_path)) as server:
        with a_proxy(server) as proxy:

            def post() -> dict[str, object]:
                with requests.Session() as session:
                    session.trust_env = False
                    session.proxies = {"https": proxy}
                    session.verify = str(server.running.tls_authority)
                    url = f"https://console.tim.qq.com/{COMMAND}"
                    return dict(session.post(url, params=QUERY, json={"UserID": "alice"}, timeout=10).json())

            assert (await asyncio.to_thread(post))["ErrorCode"] == 0
        assert (await server.status())["accounts"] == 1


async def test_a_client_that_a_hosts_file_leads_here_finds_the_name(tmp_path: Path) -> None:
    async with a_server(with_tls(tmp_path)) as server:
        trusting = ssl.create_default_context(cafile=server.running.tls_authority)
        connector = aiohttp.TCPConnector(ssl=trusting, resolver=EverythingIsHere())
        port = str(server.running.tls_url).rpartition(":")[2]
        url = f"https://adminapisgp.im.qcloud.com:{port}/{COMMAND}"
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.post(url, params=QUERY, json={"UserID": "alice"}) as response,
        ):
            assert (await response.json())["ErrorCode"] == 0


async def test_who_does_not_trust_the_authority_does_not_come_in(tmp_path: Path) -> None:
    async with a_server(with_tls(tmp_path)) as server:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await server.http.get(f"{server.running.tls_url}/healthz")


async def test_the_gateway_is_there_too(tmp_path: Path) -> None:
    async with a_server(with_tls(tmp_path)) as server:
        trusting = ssl.create_default_context(cafile=server.running.tls_authority)
        url = f"{str(server.running.tls_url).replace('https', 'wss')}/binfo?sdkappid={SDKAPPID}&instanceid=1"
        async with server.http.ws_connect(url, ssl=trusting) as socket:
            assert (await Wire(socket, "1").login("alice"))["ErrorCode"] == 0


async def test_a_certificate_of_ones_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made.private_key_pem.write_to_path(key)
    for part in made.cert_chain_pems:
        part.write_to_path(certificate, append=True)
    settings = replace(with_tls(tmp_path / "data"), tls_certificate=certificate, tls_key=key)
    async with a_server(settings) as server:
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        async with server.http.get(f"{server.running.tls_url}/healthz", ssl=trusting) as response:
            assert response.status == 200
        assert server.running.tls_authority is None


@pytest.mark.parametrize("content", ["", "no certificate"])
async def test_files_that_are_no_certificate_end_the_start(tmp_path: Path, content: str) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text(content)
    settings = replace(with_tls(tmp_path / "data"), tls_certificate=wrong, tls_key=wrong)
    with pytest.raises(OSError, match=r"cannot use .*wrong\.pem"):
        async with a_server(settings):
            pass


async def test_without_the_option_there_is_none() -> None:
    async with a_server() as server:
        assert (server.running.tls_url, server.running.tls_authority) == (None, None)
