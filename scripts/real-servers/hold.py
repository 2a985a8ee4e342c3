#!/usr/bin/python3
"""Keeps one connection open from every sender to each behaviour that counts connections (hold=yes in its setting)."""
import socket
import time

from behaviours import SENDERS, all_behaviours

kept = []
for behaviour in all_behaviours():
    if "hold=yes" in behaviour.setting:
        for ip in ["127.0.0.1"] + [f"127.0.1.{n}" for n in range(1, len(SENDERS) + 1)]:
            connection = socket.socket()
            connection.bind((ip, 0))
            try:
                connection.connect((behaviour.address, 25))
            except OSError as problem:
                print(behaviour.number, ip, problem)
            kept.append(connection)
print("held", flush=True)
time.sleep(86400)
