"""gRPC as a server speaks it, on asyncio and `pilot_core.http2`.

It carries bytes: what they mean is the business of those who serve methods. A server is given its
methods by their paths, and for TLS something that says which context is the current one:

    from pilot_core.rpc.handlers import Dialogue, stream, unary
    from pilot_core.rpc.server import Server
    from pilot_core.rpc.status import Abort, Code

    async def sign(request: bytes, call: Dialogue) -> bytes:
        if call.peer.certificate is None:               # DER, or None: the client showed none
            raise Abort(Code.UNAUTHENTICATED, "who are you?")
        token = call.metadata.get("authorization", "")
        ...

    server = Server(
        "0.0.0.0:15012",
        {"/some.Service/Sign": unary(sign)},
        clock=clock,
        tls=lambda: authority.context,                  # asked anew for every connection
    )
    await server.start()                                # raises OSError
    ...
    await server.drain(5.0)

`tls.server_context` makes a context from files; ALPN and the absence of session tickets are seen
to by the server. Whether a client has to show a certificate, may or need not, is the context's
`verify_mode`: CERT_REQUIRED, CERT_OPTIONAL, CERT_NONE.
"""
