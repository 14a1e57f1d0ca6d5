"""Make `xds/pilot_xds/envoy_api.bin`: Envoy's v3 API as one compressed descriptor set.

    python tools/build_descriptors.py

The descriptors come from the pinned `xds-protos` wheel, which is unpacked into `build/` and never
installed: it overwrites files of other distributions. Refreshing the API is changing PINNED and
running this again; the same wheel always makes the same bytes. `protos.pyi` is made beside it, for
the messages that `protos.py` names.
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

PINNED = "xds-protos==1.85.0"
ROOT = Path(__file__).resolve().parent.parent
UNPACKED = ROOT / "build" / "xds-protos"
PACKAGE = ROOT / "xds" / "pilot_xds"
PREFIXES = "envoy/,udpa/,xds/"

_COLLECT = """
import importlib, pathlib, sys
from google.protobuf import descriptor_pb2, descriptor_pool

root, target, prefixes = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
names = [p.relative_to(root).as_posix().removesuffix("_pb2.py") for p in root.rglob("*_pb2.py")]
wanted = [n for n in sorted(names) if n.startswith(tuple(prefixes.split(","))) and "/v2" not in n]
seen, ordered = set(), []

def add(file):
    if file.name in seen:
        return
    seen.add(file.name)
    for dependency in file.dependencies:
        add(dependency)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    ordered.append(proto)

for name in wanted:
    importlib.import_module(name.replace("/", ".") + "_pb2")
    add(descriptor_pool.Default().FindFileByName(name + ".proto"))
chosen = descriptor_pb2.FileDescriptorSet(file=ordered)
target.write_bytes(chosen.SerializeToString(deterministic=True))
"""


def unpack() -> None:
    """The pinned wheel, in a folder of its own."""
    if UNPACKED.exists():
        return
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
    subprocess.run([*install, "--target", str(UNPACKED), PINNED], check=True)


def collect() -> bytes:
    """The serialized FileDescriptorSet, made in a process that alone sees the wheel."""
    raw = UNPACKED.parent / "envoy_api.raw"
    subprocess.run(
        [sys.executable, "-c", _COLLECT, str(UNPACKED), str(raw), PREFIXES],
        check=True,
        env={"PYTHONPATH": str(UNPACKED)},
    )
    return raw.read_bytes()


def stubs() -> str:
    """Types for editors and mypy: the named messages, with their fields."""
    if str(PACKAGE.parent) not in sys.path:
        sys.path.insert(0, str(PACKAGE.parent))
    from pilot_xds import protos

    lines = [
        '"""Made by tools/build_descriptors.py from envoy_api.bin."""',
        "",
        "from collections.abc import Iterable, Mapping",
        "from typing import Any",
        "",
        "from google.protobuf.descriptor_pool import DescriptorPool",
        "from google.protobuf.message import Message",
        "",
        "SNAPSHOT: str",
        "POOL: DescriptorPool",
        "NAMES: Mapping[str, str]",
        "def message(full_name: str) -> type[Message]: ...",
        "def pack(packed: Message) -> AnyMessage: ...",
    ]
    for name in sorted(protos.NAMES):
        lines += ["", *_stub(name, getattr(protos, name).DESCRIPTOR)]
    return "\n".join(lines) + "\n"


def _stub(name: str, descriptor: object) -> list[str]:
    fields = [(f.name, f) for f in descriptor.fields]  # type: ignore[attr-defined]
    lines = [f"class {name}(Message):"]
    lines += [f"    {n}: {_read(f)}" for n, f in fields if n.isidentifier()]
    lines += ["    def __init__(", "        self, *,"]
    lines += [f"        {n}: {_given(f)} | None = ..." + "," for n, f in fields]
    lines += ["    ) -> None: ..."]
    return lines if fields else [f"class {name}(Message): ..."]


def _read(field: object) -> str:
    return "Any" if _is_message(field) or _is_repeated(field) else _scalar(field)


def _given(field: object) -> str:
    one = "Message | Mapping[str, Any]" if _is_message(field) else _scalar(field)
    if field.message_type and field.message_type.GetOptions().map_entry:  # type: ignore[attr-defined]
        return "Mapping[Any, Any]"
    return f"Iterable[{one}]" if _is_repeated(field) else one


def _is_message(field: object) -> bool:
    return field.message_type is not None  # type: ignore[attr-defined]


def _is_repeated(field: object) -> bool:
    return bool(field.is_repeated)  # type: ignore[attr-defined]


def _scalar(field: object) -> str:
    from google.protobuf.descriptor import FieldDescriptor as F

    kinds = {F.CPPTYPE_STRING: "str", F.CPPTYPE_BOOL: "bool"}
    kinds |= {F.CPPTYPE_DOUBLE: "float", F.CPPTYPE_FLOAT: "float", F.CPPTYPE_ENUM: "int | str"}
    if field.type == F.TYPE_BYTES:  # type: ignore[attr-defined]
        return "bytes"
    return kinds.get(field.cpp_type, "int")  # type: ignore[attr-defined]


def main() -> None:
    unpack()
    raw = collect()
    target = PACKAGE / "envoy_api.bin"
    target.write_bytes(zlib.compress(raw, 9))
    print(f"{target.relative_to(ROOT)}: {len(raw)} bytes, {target.stat().st_size} compressed")
    (PACKAGE / "protos.pyi").write_text(stubs())


if __name__ == "__main__":
    main()
