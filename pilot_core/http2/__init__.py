"""HTTP/2 as a server speaks it (RFC 9113), without a socket and without a clock.

Bytes go in, events and bytes come out. It carries gRPC: no push, no priorities, and response header
fields that nobody has to remember. Whatever a client sends, it is answered or told off, and never
an exception: what one client may cost is bounded by `limits`.
"""
