#!/usr/bin/python3
"""Writes down what is said on ports 25 and 24 of the loopback, one JSON line per piece.  listen.py FILE

`c` is the conversation (client, then server), `d` who speaks, `t` the words."""
import json
import socket
import sys

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
wire.bind(("lo", 0))
expected = {}
with open(sys.argv[1], "w", buffering=1) as out:
    while True:
        packet, address = wire.recvfrom(1 << 18)
        if address[2] == socket.PACKET_OUTGOING or packet[23] != 6:
            continue
        ip = packet[14:]
        head = (ip[0] & 15) * 4
        tcp = ip[head : int.from_bytes(ip[2:4], "big") or None]
        source = (socket.inet_ntoa(ip[12:16]), int.from_bytes(tcp[:2], "big"))
        target = (socket.inet_ntoa(ip[16:20]), int.from_bytes(tcp[2:4], "big"))
        if source[1] not in (24, 25) and target[1] not in (24, 25):
            continue
        at = int.from_bytes(tcp[4:8], "big")
        if tcp[13] & 2:  # SYN: a new conversation, even on the same pair of ports
            expected[source, target] = (at + 1) % (1 << 32)
            if not tcp[13] & 16:
                print(json.dumps({"c": [*source, *target], "d": "new", "t": ""}), file=out)
            continue
        words = tcp[(tcp[12] >> 4) * 4 :]
        if not words or (expected.get((source, target), at) - at) % (1 << 32) not in (0,):
            continue
        expected[source, target] = (at + len(words)) % (1 << 32)
        client = target[1] in (24, 25)
        pair = [*source, *target] if client else [*target, *source]
        print(json.dumps({"c": pair, "d": "client" if client else "server", "t": words.decode("latin-1")}), file=out)
