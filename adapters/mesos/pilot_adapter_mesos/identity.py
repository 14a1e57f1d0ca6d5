"""As whom a task may appear: labels are set by whoever submits it, so they grant nothing alone.

Rule 1: the account in the label `mesh.service-account` counts where the settings grant it to the
framework's principal and the task's role.
Rule 2: without one, the account is that of the principal and the role, and nobody can choose it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping

import msgspec

from pilot_adapter_mesos import naming
from pilot_adapter_mesos.config import Grant
from pilot_adapter_mesos.messages import FrameworkInfo, Task

ACCOUNT_LABEL = "mesh.service-account"
_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?\Z")


class Account(msgspec.Struct, frozen=True):
    """The account, and what is to be said where another one was asked for."""

    name: str
    remark: str = ""


def role(task: Task) -> str:
    """Whose resources it uses."""
    return next((r.allocation_info.role for r in task.resources if r.allocation_info.role), "")


def account(
    task: Task, labels: Mapping[str, str], framework: FrameworkInfo, grants: Iterable[Grant]
) -> Account:
    """The task's service account."""
    own_role = role(task)
    own = naming.label("-".join(filter(None, (framework.principal or framework.user, own_role))))
    asked = labels.get(ACCOUNT_LABEL, "")
    if not asked or asked == own:
        return Account(own)
    if not _ACCOUNT.match(asked):
        return Account(own, f"{asked!r} can be no service account")
    if any(_grants(grant, framework.principal, own_role, asked) for grant in grants):
        return Account(asked)
    who = framework.principal or "without a principal"
    return Account(
        own,
        f"the service account {asked!r} is not granted to the framework {framework.name!r} "
        f"({who}) and the role {own_role!r}: it appears as {own!r}",
    )


def _grants(grant: Grant, principal: str, own_role: str, asked: str) -> bool:
    return (
        fnmatch.fnmatchcase(principal, grant.principal)
        and fnmatch.fnmatchcase(own_role, grant.role)
        and any(fnmatch.fnmatchcase(asked, each) for each in grant.accounts)
    )
