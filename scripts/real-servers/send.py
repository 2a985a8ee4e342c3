#!/usr/bin/python3
"""Hands one message per behaviour and sender to the sending servers.  send.py ATTEMPTS [SENDER...]

Writes down as JSON what was sent for whom under which envelope sender."""
import base64
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

from behaviours import SENDERS, all_behaviours, token

SUBJECTS = ["News of the week", "Spring is here", "Your invitation", "Grüße aus dem Garten", "An update for you"]


def original(behaviour, sender, verp, domain):
    form = behaviour.send.get("form", "")
    number = behaviour.number
    subject = SUBJECTS[number % len(SUBJECTS)]
    utf8 = form == "utf8"
    if not subject.isascii() and not utf8:
        subject = "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_dem_Garten?="
    head = [
        f"From: News <news@{'news.example.test' if domain == 'bounces.example.test' else domain}>",
        f"To: {behaviour.recipients[0]}",
        f"Subject: {subject}",
        f"Date: {formatdate()}",
        f"Message-ID: <{verp.split('.')[2]}.{verp.split('.')[3]}@news.example.test>",
        f"List-Unsubscribe: <https://news.example.test/u/{verp.split('.')[4]}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "MIME-Version: 1.0",
    ]
    if form == "personal":
        head = [line for line in head if not line.startswith("List-")]
    if form == "hops":
        head = [f"Received: from h{n}.example.test by h{n + 1}.example.test; {formatdate()}" for n in range(8)] + head
    if form == "delivered-to":
        head.insert(0, f"Delivered-To: {behaviour.recipient}")
    if form == "badheader":
        head.insert(2, "Reply-To: <news@news.example.test")
    if form == "dkim":
        head.insert(0, "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=b3.example.test; s=s1; h=from:subject;\r\n"
                    "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=dGhpcyBpcyBub3QgYSBzaWduYXR1cmU=")
    if form == "dkim-nokey":
        head.insert(0, "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.test; s=s9; h=from:subject;\r\n"
                    "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=dGhpcyBpcyBub3QgYSBzaWduYXR1cmU=")
    eight = utf8 or number % 3 == 0
    words = "Grüße, and a good week to you." if eight else "Good morning, and a good week to you."
    encoding = "8bit" if eight else "7bit"
    parts = [
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{words}",
        f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n<p>{words}</p>",
    ]
    kind = "alternative"
    if form == "exe":
        kind = "mixed"
        parts.append('Content-Type: application/octet-stream; name="setup.exe"\r\nContent-Transfer-Encoding: base64\r\n'
                     'Content-Disposition: attachment; filename="setup.exe"\r\n\r\nTVqQAAMAAAAEAAAA')
    if form == "eicar":
        kind = "mixed"
        parts.append('Content-Type: text/plain; name="test.txt"\r\nContent-Disposition: attachment; filename="test.txt"\r\n\r\n'
                     "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")
    if form == "gtube":
        parts[0] += "\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
    if size := int(behaviour.send.get("size", 0)):
        parts[0] += "".join("\r\n" + "All the news that fits into one line of this message." for _ in range(size // 54))
    head.append(f'Content-Type: multipart/{kind}; boundary="part"')
    body = "".join(f"--part\r\n{part}\r\n" for part in parts) + "--part--\r\n"
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


class Refused(Exception):
    pass


class Session:
    """One SMTP session by hand: client libraries hide the parameters of RFC 3461."""

    def __init__(self, ip, port=25):
        self.socket = socket.create_connection((ip, port), 60)
        self.lines = self.socket.makefile("rb")
        self.reply()
        self.offers = self.say("EHLO app.example.test").upper()
        if port == 587:
            self.log_in()

    def log_in(self):
        self.say("STARTTLS")
        self.socket = ssl._create_unverified_context().wrap_socket(self.socket)
        self.lines = self.socket.makefile("rb")
        self.offers = self.say("EHLO app.example.test").upper()
        self.say("AUTH PLAIN " + base64.b64encode(b"\0u1@out7.example.test\0x").decode())

    def reply(self):
        text = ""
        while True:
            line = self.lines.readline().decode("utf-8", "replace")
            text += line
            if not line or line[3:4] != "-":
                break
        if line[:1] not in "23" or not line:
            raise Refused(text.strip())
        return text

    def say(self, command):
        self.socket.sendall(command.encode() + b"\r\n")
        return self.reply()

    def send(self, envelope_from, behaviour, message, ret):
        utf8 = behaviour.send.get("form") == "utf8"
        dsn = "DSN" in self.offers
        mail = f"MAIL FROM:<{envelope_from}>"
        if "8BITMIME" in self.offers:
            mail += " BODY=8BITMIME"
        if utf8 and "SMTPUTF8" in self.offers:
            mail += " SMTPUTF8"
        if dsn:
            mail += f" RET={ret} ENVID={envelope_from.split('.')[2]}"
        self.say(mail)
        for recipient in behaviour.recipients:
            rcpt = f"RCPT TO:<{recipient}>"
            if dsn and recipient.isascii():
                rcpt += f" NOTIFY={behaviour.send.get('notify', 'FAILURE,DELAY')}"
                rcpt += f" ORCPT=rfc822;{recipient.replace('=', '+3D').replace('+', '+2B')}"
            self.say(rcpt)
        self.say("DATA")
        self.socket.sendall(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
        self.reply()
        try:
            self.say("QUIT")
        except (Refused, OSError):
            pass
        self.socket.close()


def send_by_program(envelope_from, behaviour, message):
    """dma takes no mail over SMTP."""
    root = os.environ["LAB"] + "/roots/dma-s"
    command = ["chroot", root, "/usr/sbin/dma", "-f", envelope_from, *behaviour.recipients]
    subprocess.run(command, input=message.replace(b"\r\n", b"\n"), check=False)


def send_all(sender):
    ip = f"127.0.1.{SENDERS.index(sender) + 1}"
    done = []
    for behaviour in all_behaviours():
        if sender not in behaviour.senders:
            continue
        domain = behaviour.send.get("from", "bounces.example.test")
        for time in range(int(behaviour.send.get("times", 1))):
            verp = token(sender, behaviour.number, time)
            ret = behaviour.send.get("ret", "FULL" if behaviour.number % 2 else "HDRS").upper()
            record = {"number": behaviour.number, "sender": sender, "verp": verp, "problem": ""}
            try:
                message = original(behaviour, sender, verp, domain)
                if sender == "dma":
                    send_by_program(f"{verp}@{domain}", behaviour, message)
                else:
                    Session(ip, 587 if sender == "chasquid" else 25).send(f"{verp}@{domain}", behaviour, message, ret)
            except (Refused, OSError) as problem:
                record["problem"] = str(problem)
            done.append(record)
    return done


if __name__ == "__main__":
    with ThreadPoolExecutor() as pool:
        records = [r for done in pool.map(send_all, sys.argv[2:]) for r in done]
    with open(sys.argv[1], "w") as out:
        json.dump(records, out, indent=0)
    for record in records:
        if record["problem"]:
            print(f"{record['sender']} did not take a message for behaviour {record['number']}: {record['problem']}")
