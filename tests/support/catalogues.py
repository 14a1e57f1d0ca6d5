"""Catalogue text for tests."""

from __future__ import annotations

from pilot_core.testing import Services


def entry(hostname: str, *addresses: str, number: object = 80) -> str:
    """One item of `services`, on one line."""
    endpoints = ", ".join(f"{{address: {address}}}" for address in addresses)
    port = f"{{name: http, number: {number}}}"
    return f"- {{hostname: {hostname}, ports: [{port}], endpoints: [{endpoints}]}}\n"


def catalogue(*hostnames: str, address: str = "10.0.0.1") -> str:
    """A document with these services, each with one endpoint."""
    if not hostnames:
        return "services: []\n"
    return "services:\n" + "".join(entry(hostname, address) for hostname in hostnames)


def catalogue_of(services: Services, *, domain: str, spoilt: str = "") -> str:
    """The document of a conformance harness; one entry may be beyond use."""
    entries = (
        entry(f"{name}.{domain}", *addresses, number="eighty" if name == spoilt else 80)
        for name, addresses in services.items()
    )
    return "services:\n" + "".join(entries) if services else "services: []\n"
