"""The adapter `http` against a real web server on the loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from catalogues import catalogue, entry
from http_registry import HttpRegistry, answer
from pilot_core.adapter import ConfigError, Denied, Unavailable
from pilot_core.builtin.http import Http, HttpConfig
from pilot_core.document import Duration
from pilot_core.document.reader import MAX_BYTES
from pilot_core.testing import FakeClock, RecordingSink, host, session


class Impatient(Http):
    """Does not wait as long as a slow server deserves."""

    timeout = aiohttp.ClientTimeout(total=1.0, sock_read=0.2)


def adapter(server: HttpRegistry, clock: FakeClock | None = None, **settings: Any) -> Http:
    settings.setdefault("url", server.url)
    return Http(HttpConfig(interval=Duration(5), **settings), host(clock or FakeClock()))


async def fails(http: Http, sink: RecordingSink | None = None) -> str:
    """What the session's end says."""
    with pytest.raises(Unavailable) as caught:
        await http.run(sink or RecordingSink())
    return str(caught.value)


# Polling


async def test_the_document_is_one_source():
    async with (
        HttpRegistry(catalogue("a.mesh", "b.mesh")) as server,
        session(adapter(server)) as sink,
    ):
        await sink.until(lambda: sink.is_synced)
        assert {server.url: 4} == {name: len(found) for name, found in sink.sources.items()}
        [first, *_] = sink.sources[server.url]
        assert f"{server.url}:2:3" == first.origin.place


async def test_it_asks_again_after_the_interval_and_not_before():
    clock = FakeClock()
    async with HttpRegistry(catalogue("a.mesh")) as server, session(adapter(server, clock)) as sink:
        await clock.until_sleepers()
        server.document = catalogue("b.mesh")
        await clock.advance(4.9)
        assert 1 == len(server.requests)
        await clock.advance(0.2)
        await sink.until(lambda: sink.hostnames == ["b.mesh"])
        assert 2 == len(server.requests)


async def test_what_it_knows_is_not_sent_again():
    clock = FakeClock()
    async with HttpRegistry(catalogue("a.mesh")) as server, session(adapter(server, clock)) as sink:
        for poll in (1, 2, 3):
            await server.asked(poll)
            await clock.until_sleepers()
            await clock.advance(5)
        await server.asked(3)
        assert [200, 304, 304] == server.statuses[:3]
        assert [server.url] == sink.puts


async def test_a_server_without_etags_is_read_each_time_and_put_once():
    clock = FakeClock()
    async with HttpRegistry(catalogue("a.mesh")) as server:
        server.has_etag = False
        async with session(adapter(server, clock)) as sink:
            await clock.until_sleepers()
            await clock.advance(5)
            await server.asked(2)
            await clock.until_sleepers()
            assert ([200, 200], [server.url]) == (server.statuses, sink.puts)


async def test_json_is_known_by_its_type():
    async with HttpRegistry('{"services": [{"hostname": "a.mesh"}]}') as server:
        server.content_type = "application/json"
        async with session(adapter(server)) as sink:
            await sink.until(lambda: sink.hostnames == ["a.mesh"])
            assert [] == sink.problems


async def test_the_next_session_is_told_everything_though_nothing_changed():
    async with HttpRegistry(catalogue("a.mesh")) as server:
        http = adapter(server)
        async with session(http) as sink:
            await sink.until(lambda: sink.is_synced)
        async with session(http) as sink:
            await sink.until(lambda: sink.is_synced)
            assert ([200, 304], ["a.mesh"]) == (server.statuses, sink.hostnames)


# Documents that are wrong


async def test_one_bad_entry_is_refused_alone_and_its_service_stays_as_it_was():
    clock = FakeClock()
    async with (
        HttpRegistry(catalogue("a.mesh", "b.mesh")) as server,
        session(adapter(server, clock)) as sink,
    ):
        await clock.until_sleepers()
        bad = entry("a.mesh", "10.0.0.2", number="eighty")
        server.document = "services:\n" + bad + entry("b.mesh", "10.0.0.2")
        await clock.advance(5)
        await sink.until(lambda: sink.problems)
        assert {"a.mesh": ["10.0.0.1"], "b.mesh": ["10.0.0.2"]} == sink.view
        column = bad.index("eighty") + 1
        assert [f"{server.url}:2:{column}"] == [origin for origin, _ in sink.problems]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("services: [", "not YAML"),
        ("\x00\x01", "not YAML"),
        ("<html>it works</html>", "expected a mapping with the key services"),
        ("servces: []", 'did you mean "services"?'),
        ("[" * 100_000, "nest"),
    ],
    ids=["half", "garbage", "a web page", "unknown", "deep"],
)
async def test_what_is_no_catalogue_keeps_what_was_there(document, words):
    clock = FakeClock()
    async with HttpRegistry(catalogue("a.mesh")) as server, session(adapter(server, clock)) as sink:
        await clock.until_sleepers()
        server.document = document
        await clock.advance(5)
        await sink.until(lambda: sink.problems)
        assert words in sink.problems[0][1]
        assert ["a.mesh"] == sink.hostnames
        server.document = catalogue("b.mesh")
        await clock.until_sleepers()
        await clock.advance(5)
        await sink.until(lambda: sink.hostnames == ["b.mesh"])
        assert [] == sink.problems


async def test_a_document_in_a_dialect_that_nobody_reads_is_a_problem():
    async with (
        HttpRegistry("apiVersion: example/v1\nkind: Rule\n") as server,
        session(adapter(server)) as sink,
    ):
        await sink.until(lambda: sink.problems)
        message = "documents of kind Rule (example/v1) are not read by this version"
        assert [(f"{server.url}:1:1", message)] == sink.problems


# Answers that are no document


@pytest.mark.parametrize("status", [400, 404, 418, 500, 503])
async def test_an_answer_that_is_an_error_ends_the_session_with_its_status(status):
    async with HttpRegistry() as server:
        server.answer = answer(status, "oops")
        assert f"expected 200, got {status}" in await fails(adapter(server))


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_told_with_its_cure(status, tmp_path):
    async with HttpRegistry() as server:
        server.answer = answer(status)
        with pytest.raises(Denied, match=f"{status}.*token_file names a file with a token"):
            await adapter(server).run(RecordingSink())
        token = tmp_path / "token"
        token.write_text("worn-out")
        with pytest.raises(Denied, match=f"{status}.*with the token in {token}"):
            await adapter(server, token_file=token).run(RecordingSink())


async def test_not_modified_without_having_been_asked_for_is_an_error():
    async with HttpRegistry() as server:
        server.answer = answer(304)
        assert "expected 200, got 304" in await fails(adapter(server))


async def test_an_outage_takes_nothing_away():
    clock = FakeClock()
    async with HttpRegistry(catalogue("a.mesh")) as server:
        http, sink = adapter(server, clock), RecordingSink()
        running = asyncio.create_task(http.run(sink))
        await sink.until(lambda: sink.is_synced)
        await clock.until_sleepers()
        server.answer = answer(500)
        await clock.advance(5)
        with pytest.raises(Unavailable):
            await running
        assert ["a.mesh"] == sink.hostnames


async def test_nobody_there_is_said_so():
    async with HttpRegistry() as server:
        http = adapter(server)
    assert server.url in await fails(http)


async def test_a_server_that_never_answers_is_left():
    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with HttpRegistry() as server:
        server.answer = never
        http = Impatient(HttpConfig(url=server.url), host())
        assert "no answer in time" in await fails(http)


async def test_a_server_that_dribbles_is_left():
    async def dribble(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        clock = host().clock
        while True:
            await response.write(b"#")
            await clock.sleep(0.05)

    async with HttpRegistry() as server:
        server.answer = dribble
        http = Impatient(HttpConfig(url=server.url), host())
        assert "no answer in time" in await fails(http)


async def test_half_an_answer_is_none():
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000"})
        await response.prepare(request)
        await response.write(catalogue("a.mesh").encode())
        assert request.transport is not None
        request.transport.close()
        return response

    async with HttpRegistry() as server:
        server.answer = half
        sink = RecordingSink()
        assert server.url in await fails(adapter(server), sink)
        assert ({}, False) == (sink.sources, sink.is_synced)


async def test_what_is_no_http_is_an_outage():
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"\x00\x01\x02 not http\r\n\r\n")
        writer.close()

    shouting = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with shouting:
        port = shouting.sockets[0].getsockname()[1]
        http = Http(HttpConfig(url=f"http://127.0.0.1:{port}/"), host())
        assert f"http://127.0.0.1:{port}/: " in await fails(http)


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "small and compressed"])
async def test_a_huge_answer_is_not_taken_in(is_compressed):
    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if is_compressed:
            response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        for _ in range(MAX_BYTES // 2**20 + 2):
            await response.write(b"#" * 2**20)
        return response

    async with HttpRegistry() as server:
        server.answer = huge
        assert "larger than 64 MiB" in await fails(adapter(server))


# Redirects


async def test_a_redirect_is_followed():
    async with HttpRegistry(catalogue("a.mesh")) as server:

        async def moved(request: web.Request) -> web.StreamResponse:
            if request.path == "/catalogue":
                raise web.HTTPFound("/elsewhere")
            return await server.serve(request)

        server.answer = moved
        async with session(adapter(server)) as sink:
            await sink.until(lambda: sink.hostnames == ["a.mesh"])
            assert [server.url] == list(sink.sources)


async def test_redirects_in_circles_end():
    async with HttpRegistry() as server:
        server.answer = answer(302, location="/catalogue")
        assert "redirects more than 3 times" in await fails(adapter(server))


async def test_a_redirect_to_another_server_does_not_take_the_token_along(tmp_path):
    (tmp_path / "token").write_text("secret")
    async with HttpRegistry(catalogue("a.mesh")) as other, HttpRegistry() as server:
        server.answer = answer(302, location=other.url)
        async with session(adapter(server, token_file=tmp_path / "token")) as sink:
            await sink.until(lambda: sink.is_synced)
        assert "Bearer secret" == server.requests[0].headers["authorization"]
        assert "authorization" not in other.requests[0].headers


# Settings


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://registry.example/", "expected a URL such as"),
        ("registry.example", "expected a URL such as"),
        ("http://", "expected a URL such as"),
        ("http://[::1/", "no URL"),
        ("http://host:port/", "no URL"),
        ("https://me:secret@registry.example/", "token_file"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url, words):
    with pytest.raises(ConfigError, match=words) as caught:
        HttpConfig(url=url)
    assert "secret" not in str(caught.value)


def test_an_interval_has_to_be_longer_than_nothing():
    with pytest.raises(ConfigError, match="longer than nothing"):
        HttpConfig(url="http://registry.example/", interval=Duration(0))
