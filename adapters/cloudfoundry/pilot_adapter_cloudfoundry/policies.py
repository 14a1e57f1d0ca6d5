"""Network policies as the mesh's: who may call the containers behind an internal route. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pilot_adapter_cloudfoundry.names import NetworkPolicy
from pilot_core.model.policy import Authorization, Rule

_ANYBODY = "*"


def authorization(
    hostname: str,
    apps: Collection[str],
    policies: Sequence[NetworkPolicy] | None,
    hostnames: Mapping[str, Sequence[str]],
) -> tuple[Authorization, ...]:
    """What the containers' network does: nobody gets through whom no policy lets. None where the
    policies are not known."""
    if policies is None or not apps:
        return ()
    allowed = [policy for policy in policies if policy.destination in apps]
    callers = dict.fromkeys(name for p in allowed for name in hostnames.get(p.source, ()))
    nameless = [p.source for p in allowed if not hostnames.get(p.source)]
    unread = [f"calls from {source}, which has no name" for source in dict.fromkeys(nameless)]
    unread += [_ports(policy) for policy in allowed]
    return (
        Authorization(
            name=f"network-policy/{hostname}",
            hostname=hostname,
            rules=(
                *(Rule(caller=caller, is_allowed=True) for caller in callers),
                Rule(caller=_ANYBODY, is_allowed=False),
            ),
            unread=tuple(unread),
        ),
    )


def _ports(policy: NetworkPolicy) -> str:
    ports = f"{policy.first}-{policy.last}" if policy.first != policy.last else str(policy.first)
    return f"that {policy.source} may call ports {ports}/{policy.protocol} only"
