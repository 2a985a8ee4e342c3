#!/usr/bin/python3
"""Takes a root's log lines from its dev/log socket and appends them to a file.  syslog.py SOCKET FILE"""
import os
import socket
import sys

path, log = sys.argv[1:]
if os.path.exists(path):
    os.unlink(path)
lines = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
lines.bind(path)
os.chmod(path, 0o666)
with open(log, "ab", buffering=0) as out:
    while True:
        out.write(lines.recv(65536).rstrip(b"\n\0") + b"\n")
