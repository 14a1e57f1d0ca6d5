"""What a user says about a Consul: where it is, and how to be let in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from pilot_core.adapter import Config, ConfigError, Finding
from pilot_core.document import Duration

_EXAMPLE = "${CONSUL_HTTP_ADDR:-http://127.0.0.1:8500}"
FEWEST_CONNECTIONS = 20


class LoginSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{auth_method: kubernetes, bearer_file: /var/run/secrets/…/token}`"""

    auth_method: str
    """The name of an auth method of Consul's."""
    bearer_file: Path
    """A file with what it takes, such as a service account's token; read at every login."""


class ConsulConfig(Config, frozen=True):
    """One agent, and the datacentres that are read through it."""

    address: Annotated[str, msgspec.Meta(examples=[_EXAMPLE])]
    """The HTTP API of an agent: `http://HOST:PORT`, `https://HOST:PORT` or `HOST:PORT`."""
    token_file: Path | None = None
    """A file with an ACL token, read again when it changes. It needs a policy with
    `service_prefix "" { policy = "read" }` and `node_prefix "" { policy = "read" }`, nothing
    more."""
    login: LoginSettings | None = None
    """Instead of `token_file`: log in by an auth method, and anew before the token expires."""
    ca_file: Path | None = None
    """Certificates of the authorities to trust instead of the system's, as PEM."""
    cert_file: Path | None = None
    """A client certificate, for agents that ask for one, as PEM; with `key_file`."""
    key_file: Path | None = None
    """The private key of `cert_file`, as PEM."""
    datacenters: tuple[str, ...] = ()
    """The datacentres to read, through the same agent; empty: the agent's own."""
    namespaces: tuple[str, ...] = ()
    """Consul Enterprise: the namespaces to read; empty: the token's own."""
    partition: str = ""
    """Consul Enterprise: the partition to read; empty: the agent's own."""
    peers: tuple[str, ...] = ()
    """The cluster peers whose exported services are read too, through the same agent. It needs
    `peering = "read"` in the token's policy."""
    kv: str = ""
    """A prefix of keys that hold catalogue documents, such as `mesh/catalogue/`; empty: none. It
    needs `key_prefix "mesh/catalogue/" { policy = "read" }` in the token's policy."""
    connections: int = 150
    """How many connections to the agent may be open at a time. Services beyond that many are read
    in turn instead of being waited on. Raise it together with the agent's
    `limits.http_max_conns_per_client`, which is 200 where nobody has set it."""
    grace: Duration = Duration(30)
    """How long a fifth of all services or more have to be gone before they are taken away."""

    def __post_init__(self) -> None:
        if problem := _address_problem(self.url):
            raise ConfigError(Finding("address", 0, 0, problem))
        if self.token_file is not None and self.login is not None:
            raise ConfigError(Finding("login", 0, 0, "either token_file or login, not both"))
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigError(Finding("cert_file", 0, 0, "cert_file and key_file go together"))
        if self.kv.startswith("/"):
            raise ConfigError(Finding("kv", 0, 0, 'no key of Consul\'s begins with "/"'))
        if self.connections < FEWEST_CONNECTIONS:
            message = f"at least {FEWEST_CONNECTIONS} connections are needed"
            raise ConfigError(Finding("connections", 0, 0, message))

    @property
    def url(self) -> str:
        """The address with its scheme, without a slash at the end."""
        has_scheme = "://" in self.address
        return (self.address if has_scheme else f"http://{self.address}").rstrip("/")


def _address_problem(url: str) -> str:
    """What is wrong with the address; empty if nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"no address: {error}"
    if parts.scheme not in ("http", "https") or not host or parts.path or parts.query:
        return f'expected an address such as http://127.0.0.1:8500, found "{url[:120]}"'
    if parts.username is not None:
        return "no user name or password in an address: token_file names a file with a token"
    return ""
