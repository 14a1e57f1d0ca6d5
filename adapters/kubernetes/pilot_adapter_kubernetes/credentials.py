"""Who we are to an API server: kubeconfig files, service accounts and exec plugins.

Rule 1: the `kubernetes` package reads them, for it knows every form they have; it is imported when
it is needed, and asked in a thread, for a plugin may take seconds.
Rule 2: nothing is read again until a server refuses us or the reading is old: tokens and
certificates rotate as files, and the old ones hold for a while.
Rule 3: a kubeconfig out of a Secret says all by itself: it runs no program, reads no file of this
machine and verifies the server, for whoever writes Secrets need not be who runs this.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pilot_core.adapter import Unavailable

_OUT_OF_REACH = {
    "auth-provider",
    "certificate-authority",
    "client-certificate",
    "client-key",
    "exec",
    "insecure-skip-tls-verify",
    "tokenFile",
}


class Access(msgspec.Struct, frozen=True):
    """Where an API server is, and what to show it."""

    url: str
    tls: ssl.SSLContext | bool
    """False where the kubeconfig says not to verify, True for plain HTTP or the system's roots."""
    server_name: str | None
    authorization: str


async def load(kubeconfig: Path | None, context: str) -> Access:
    """Read a kubeconfig; without one, be the service account of the pod that this runs in.

    Raises Unavailable where there is none, or none that can be read.
    """
    return await asyncio.to_thread(_load, kubeconfig, context)


async def load_text(kubeconfig: str, where: str) -> Access:
    """Read a kubeconfig from a Secret; `where` is what errors call it. Raises Unavailable."""
    return await asyncio.to_thread(_load_text, kubeconfig, where)


def _load_text(kubeconfig: str, where: str) -> Access:
    with _reading(f"kubeconfig of {where}"):
        from kubernetes.client import Configuration

        from kubernetes import config

        settings = Configuration()
        try:
            document = yaml.safe_load(kubeconfig)
        except yaml.YAMLError:
            raise ValueError("it is no YAML") from None  # whose own words would quote secrets
        if not isinstance(document, dict):
            raise ValueError("it is no mapping")
        _refuse_what_reaches_out(document)
        config.load_kube_config_from_dict(
            document, client_configuration=settings, persist_config=False
        )
        return _access(settings)


def _refuse_what_reaches_out(document: dict[str, Any]) -> None:
    for part, entry in (("users", "user"), ("clusters", "cluster")):
        for item in document.get(part) or ():
            for key in (item.get(entry) or {}).keys() & _OUT_OF_REACH:
                raise ValueError(f"{part}[].{entry}.{key} is not allowed in a Secret")


def _load(kubeconfig: Path | None, context: str) -> Access:
    with _reading(f"kubeconfig {kubeconfig}" if kubeconfig else "the pod's service account"):
        from kubernetes.client import Configuration

        from kubernetes import config

        settings = Configuration()
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(
                str(kubeconfig),
                context or None,
                client_configuration=settings,
                persist_config=False,
            )
        return _access(settings)


@contextlib.contextmanager
def _reading(what: str) -> Iterator[None]:
    """Whatever is wrong with it makes it Unavailable."""
    from kubernetes.config.config_exception import ConfigException

    try:
        yield
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unavailable(f"{what} cannot be used: {error}") from error


def _access(settings: Any) -> Access:
    return Access(
        url=settings.host.rstrip("/"),
        tls=_tls(settings),
        server_name=settings.tls_server_name or None,
        authorization=settings.get_api_key_with_prefix("BearerToken")
        or (settings.get_basic_auth_token() if settings.username else "")
        or "",
    )


def _tls(settings: Any) -> ssl.SSLContext | bool:
    if not settings.host.startswith("https:"):
        return True
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert or None)
    if not settings.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context
