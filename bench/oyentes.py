"""Clients that follow a market's events: oyentes.py PORT HOW_MANY read|silent

Prints "listening" once every stream has begun, and goes on until it is stopped. A silent client never reads again.
"""
import selectors
import socket
import sys

port, count, reads = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "read"
request = b"GET /transacciones/eventos HTTP/1.1\r\nHost: localhost\r\n\r\n"
streams = []
for _ in range(count):
    stream = socket.create_connection(("127.0.0.1", port))
    stream.sendall(request)
    streams.append(stream)
for stream in streams:
    head = b""
    while b"retry: 1000" not in head:
        piece = stream.recv(4096)
        if not piece or not (head + piece).startswith(b"HTTP/1.1 200 "[: len(head + piece)]):
            sys.exit("oyentes.py: a stream was refused: " + repr(head + piece))
        head += piece
print("listening", flush=True)
selector = selectors.EpollSelector()
if reads:
    for stream in streams:
        selector.register(stream, selectors.EVENT_READ)
buffer = bytearray(1 << 20)
while True:
    for key, _ in selector.select():
        if key.fileobj.recv_into(buffer) == 0:
            sys.exit("oyentes.py: a stream that reads was cut off")
