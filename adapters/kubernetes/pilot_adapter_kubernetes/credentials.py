"""Who we are to an API server: kubeconfig files, service accounts and exec plugins.

Rule 1: the `kubernetes` package reads them, for it knows every form they have; it is imported when
it is needed, and asked in a thread, for a plugin may take seconds.
Rule 2: nothing is read again until a server refuses us or the reading is old: tokens and
certificates rotate as files, and the old ones hold for a while.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import msgspec

from pilot_core.adapter import Unavailable


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


def _load(kubeconfig: Path | None, context: str) -> Access:
    from kubernetes.client import Configuration
    from kubernetes.config.config_exception import ConfigException

    from kubernetes import config

    settings = Configuration()
    try:
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
    except (ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        where = f"kubeconfig {kubeconfig}" if kubeconfig else "the pod's service account"
        raise Unavailable(f"{where} cannot be used: {error}") from error


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
