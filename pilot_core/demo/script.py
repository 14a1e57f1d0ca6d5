"""What stands in the three registries of the book shop, as the text that people would write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pilot_core.demo.shop import DOMAIN
from pilot_core.demo.stage import NAMESPACE, SERVICE_PORT, Stage, Workload


def configuration(stage: Stage, plugin: str) -> str:
    """The daemon's configuration: a file, an HTTP and a plugin registry, in this precedence."""
    return f"""\
apiVersion: pilot-core/v1
adapters:
- name: files
  kind: file
  config: {{paths: [{json.dumps(str(stage.folder / "catalogue"))}]}}
- name: web
  kind: http
  config: {{url: "http://{stage.catalogue}/catalogue.yaml", interval: 250ms}}
- name: books
  kind: {plugin}
  config: {{path: {json.dumps(str(stage.folder / "books.json"))}, interval: 250ms}}
xds: {{address: "{stage.xds}", secure_address: "{stage.secure}"}}
identity: {{settle: 1s}}
admin: {{address: "{stage.admin}"}}
state_dir: {json.dumps(str(stage.folder / "state"))}
"""


def service(name: str, workloads: Sequence[Workload]) -> str:
    """One entry of a catalogue document."""
    head = f"""\
- hostname: {name}.{DOMAIN}
  namespace: {NAMESPACE}
  ports: [{{name: http, number: 80, protocol: http}}]
  endpoints:
"""
    return head + "".join(
        f"  - {{address: {w.address}, ports: {{http: {SERVICE_PORT}}}, workload: {w.name},"
        f" labels: {{version: {w.instance}}}, service_account: {w.account}, tls: mutual}}\n"
        for w in workloads
    )


def document(*entries: str) -> str:
    """A catalogue document of these entries."""
    return "services:\n" + "".join(entries) if entries else "services: []\n"


def write(path: Path, text: str) -> None:
    """Replace the file at once, as an editor does: readers see the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.rename(path)
