"""The certificate of the TLS listener: a given one, or one made at start for clients that have a host built in."""

import ssl
from pathlib import Path
from typing import Final

import trustme

AUTHORITY_FILE: Final = "tls-authority.pem"
"""In the data directory: what a client has to trust."""

VENDOR_HOSTS: Final = (
    "console.tim.qq.com",
    "adminapi.my-imcloud.com",
    "adminapisgp.im.qcloud.com",
    "adminapisgp.my-imcloud.com",
    "adminapikr.im.qcloud.com",
    "adminapikr.my-imcloud.com",
    "adminapiger.im.qcloud.com",
    "adminapiger.my-imcloud.com",
    "adminapiind.im.qcloud.com",
    "adminapiind.my-imcloud.com",
    "adminapiusa.im.qcloud.com",
    "adminapiusa.my-imcloud.com",
    "adminapiidn.im.qcloud.com",
    "adminapiidn.my-imcloud.com",
    "adminapijpn.im.qcloud.com",
)
"""Hosts of the vendor's REST API (1047/34620): a client that is led here from one of them finds its name."""

_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


def from_files(certificate: Path, key: Path) -> ssl.SSLContext:
    """Raises OSError, of which ssl.SSLError is one, when the files do not hold a certificate and its key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def self_signed(host: str, authority_file: Path) -> ssl.SSLContext:
    """A certificate of an authority that lives no longer than this process; what to trust is written to a file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(authority_file)
    names = dict.fromkeys((*_LOCAL_HOSTS, host, *VENDOR_HOSTS))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context
