"""Envoy's API as we ship it: complete, private, and made by the tool that is said to make it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from pilot_xds import protos
from pilot_xds.types import BY_URL

ROOT = Path(__file__).parents[2]
PACKED = ROOT / "xds" / "pilot_xds" / "envoy_api.bin"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "build_descriptors.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def shipped() -> descriptor_pb2.FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString(zlib.decompress(PACKED.read_bytes()))


def test_every_file_comes_after_those_that_it_needs(shipped):
    seen: set[str] = set()
    for file in shipped.file:
        assert set() == set(file.dependency) - seen
        seen.add(file.name)


def test_the_set_is_serialized_in_the_one_deterministic_way(shipped):
    assert zlib.decompress(PACKED.read_bytes()) == shipped.SerializeToString(deterministic=True)


def test_the_files_are_taken_apart_as_protobuf_would(shipped):
    raw = zlib.decompress(PACKED.read_bytes())
    assert [file.SerializeToString() for file in shipped.file] == list(protos._files(raw))


def test_it_is_the_third_version_of_the_api_only(shipped):
    packages = {file.package for file in shipped.file}
    assert set() == {package for package in packages if package.startswith("envoy.api.v2")}


@pytest.mark.parametrize("name", sorted(protos.NAMES))
def test_every_message_that_is_named_is_there(name):
    assert protos.NAMES[name] == getattr(protos, name).DESCRIPTOR.full_name


@pytest.mark.parametrize("url", sorted(BY_URL))
def test_every_resource_type_is_there(url):
    assert protos.message(url.rpartition("/")[2])


@pytest.mark.parametrize(
    "full_name",
    [
        "envoy.admin.v3.ConfigDump",
        "envoy.config.rbac.v3.RBAC",
        "envoy.config.trace.v3.OpenTelemetryConfig",
        "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy",
        "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy",
        "envoy.extensions.filters.network.thrift_proxy.v3.ThriftProxy",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    ],
)
def test_what_later_parts_of_a_mesh_need_is_there_too(full_name):
    assert full_name == protos.message(full_name).DESCRIPTOR.full_name


def test_what_the_snapshot_does_not_have_is_an_error():
    with pytest.raises(KeyError):
        protos.message("envoy.config.cluster.v9.Cluster")
    with pytest.raises(AttributeError, match="has no message Clutser"):
        _ = protos.Clutser


def test_the_process_wide_pool_is_left_alone():
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName(protos.NAMES["Cluster"])


def test_no_generated_code_of_anybody_is_imported():
    code = (
        "import json, sys, pilot_xds.build\n"
        "print(json.dumps([name for name in sys.modules if name.endswith('_pb2')]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'xds'}"},
    )
    assert set() == {
        name for name in json.loads(run.stdout) if not name.startswith("google.protobuf.")
    }


def test_the_snapshot_is_the_one_that_the_tool_takes(tool):
    assert tool.PINNED.replace("==", " ") == protos.SNAPSHOT


def test_the_stubs_are_those_that_the_tool_makes(tool):
    assert (ROOT / "xds" / "pilot_xds" / "protos.pyi").read_text() == tool.stubs()


def test_the_licence_of_the_descriptors_is_told():
    assert protos.SNAPSHOT in (ROOT / "NOTICE").read_text()
