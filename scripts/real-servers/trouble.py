#!/usr/bin/python3
"""Listens where behaviours/network.tsv says and breaks off in the way it says. Refuses nothing in words: every reply is 2xx."""
import os
import socket
import struct
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def serve(connection, how):
    if how == "close":
        return connection.close()
    if how == "silent":
        return time.sleep(600)
    lines = connection.makefile("rb")
    connection.sendall(b"220 ESMTP\r\n")
    for line in lines:
        verb = line[:4].upper()
        if verb == b"EHLO":
            connection.sendall(b"250-ok\r\n250 8BITMIME\r\n")
        elif verb == b"RCPT" and how == "reset-rcpt":
            return reset(connection)
        elif verb == b"DATA":
            connection.sendall(b"354 go on\r\n")
            for text in lines:
                if text == b".\r\n":
                    break
            if how == "close-dot":
                return connection.close()
            if how == "silent-dot":
                return time.sleep(600)
        else:
            connection.sendall(b"250 ok\r\n")
    connection.close()


def guard(connection, how):
    try:
        serve(connection, how)
    except OSError:
        pass


def listen(ip, how):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ip, 25))
    if how == "full-backlog":
        listener.listen(0)
        for _ in range(3):
            pending = socket.socket()
            pending.setblocking(False)
            pending.connect_ex((ip, 25))
            KEPT.append(pending)
        KEPT.append(listener)
        return
    listener.listen(64)
    while True:
        threading.Thread(target=guard, args=(listener.accept()[0], how), daemon=True).start()


KEPT = []
for row in open(f"{HERE}/behaviours/network.tsv"):
    if row.startswith("#"):
        continue
    number, how = int(row.split("\t")[0]), row.rstrip("\n").split("\t")[5]
    if how not in ("refused", "unreachable"):
        threading.Thread(target=listen, args=(f"127.0.{number // 100 + 1}.{number % 100}", how)).start()
time.sleep(86400)
