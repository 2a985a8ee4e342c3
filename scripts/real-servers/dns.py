#!/usr/bin/python3
"""The lab's DNS. Two views: 127.0.0.53 for senders knows everything; 127.0.0.54, for destinations, does not know
what a sender forgot to set up: its pointer records, its name in HELO, and one of its domains.

dN.dest.test has the mail host mxN.dest.test at the address of behaviour N (see address() in lab.sh); the
behaviours of behaviours/dns.tsv answer in ways of their own."""
import csv
import os
import re
import socketserver
import sys
import threading

from dnslib import A, CNAME, DNSRecord, MX, PTR, QTYPE, RCODE, RR, SOA, TXT

HERE = os.path.dirname(os.path.abspath(__file__))
OWN = {}
with open(f"{HERE}/behaviours/dns.tsv") as rows:
    for row in csv.reader((r for r in rows if not r.startswith("#")), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row:
            OWN[int(row[0])] = row[5]

SENDERS = {}  # host name -> address
for number, name in enumerate("postfix exim sendmail opensmtpd courier haraka chasquid dma".split(), 1):
    SENDERS[f"out{number}.example.test"] = f"127.0.1.{number}"


def address(number):
    return f"127.0.{number // 100 + 1}.{number % 100}"


def text(domain):
    """Policies of sender domains: SPF that leaves our senders out, DMARC that rejects, a key that fits nothing."""
    if domain == "b3.example.test":
        return ["v=spf1 ip4:192.0.2.1 -all"]
    if domain in ("_dmarc.b3.example.test", "_dmarc.example.test"):
        return ["v=DMARC1; p=reject; aspf=s"]
    if domain == "s1._domainkey.b3.example.test":
        return ["v=DKIM1; k=rsa; p=" + KEY]
    return []


KEY = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq"
    "631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)


def answer(query, view):
    """The reply to a query, or None for silence."""
    name = str(query.q.qname).rstrip(".").lower()
    kind = QTYPE[query.q.qtype]
    reply = query.reply()
    reply.header.ra = 1
    known = False

    def add(kind, data, owner=name):
        reply.add_answer(RR(owner, getattr(QTYPE, kind), rdata=data, ttl=5))

    host = re.fullmatch(r"(mx|d)(\d+)\.dest\.test", name)
    number = int(host[2]) if host else 0
    listed = re.fullmatch(r"\d+\.\d+\.0\.127\.(\w+)\.dnsbl\.test", name)
    pointer = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)\.127\.in-addr\.arpa", name)
    if name == "dest.test" or name == "example.test" or name == "test":
        known = True
    elif number in OWN:
        how, _, target = OWN[number].partition(" ")
        if how == "silent":
            return None
        if how == "servfail":
            reply.header.rcode = RCODE.SERVFAIL
            return reply
        known = how != "nxdomain"
        if host[1] == "mx":
            if how == "address-servfail":
                reply.header.rcode = RCODE.SERVFAIL
                return reply
            known = False
        elif kind == "MX" and how == "mx":
            add("MX", MX(target, 0 if target == "." else 10))
        elif kind == "MX" and how == "two-mx":
            for preference, one in enumerate(target.split(), 1):
                add("MX", MX(one, preference * 10))
        elif kind == "MX" and how == "address-servfail":
            add("MX", MX(f"mx{number}.dest.test", 10))
        elif how == "cname":
            add("CNAME", CNAME(target))
    elif host:
        known = True
        if host[1] == "d" and kind == "MX":
            add("MX", MX(f"mx{number}.dest.test", 10))
        elif kind == "A" and host[1] == "mx":
            add("A", A(address(number)))
    elif name in SENDERS:
        known = view == "sender"
        if known and kind == "A":
            add("A", A(SENDERS[name]))
    elif name in ("bounces.example.test", "mx.bounces.example.test", "news.example.test", "b3.example.test", "b4.example.test") or (
        name in ("b2.example.test", "news.b2.example.test") and view == "sender"
    ):
        known = True
        if kind == "MX" and not name.startswith("mx."):
            add("MX", MX("mx903.dest.test" if name == "b4.example.test" and view == "destination" else "mx.bounces.example.test", 10))
        elif kind == "A" and name.startswith("mx."):
            add("A", A("127.0.0.25"))
    elif listed and view == "destination":
        known = True
        if kind == "A":
            add("A", A("127.0.0.2"))
        elif kind == "TXT":
            add("TXT", TXT(f"https://check.dnsbl.test/{listed[1]}"))
    elif re.fullmatch(r"(bounces|b2|news)\.example\.test\.dbl\.dnsbl\.test", name):
        known = True
        if kind == "A":
            add("A", A("127.0.1.2"))
        elif kind == "TXT":
            add("TXT", TXT("https://check.dnsbl.test/dbl"))
    elif pointer:
        ip = "127.{}.{}.{}".format(*reversed(pointer.groups()))
        for owner, sender in SENDERS.items():
            if sender == ip and view == "sender":
                known = True
                add("PTR", PTR(owner))
        behaviour = (int(pointer[2]) - 1) * 100 + int(pointer[1])
        if ip.startswith("127.0.") and int(pointer[2]) > 1:
            known = True
            add("PTR", PTR(f"mx{behaviour}.dest.test"))
    if kind == "TXT" and text(name):
        known = True
        for one in text(name):
            add("TXT", TXT([one[i : i + 250] for i in range(0, len(one), 250)]))
    if not reply.rr:
        if not known:
            reply.header.rcode = RCODE.NXDOMAIN
        reply.add_auth(RR("test", QTYPE.SOA, rdata=SOA("ns.test", "root.test", (1, 5, 5, 5, 5)), ttl=5))
    return reply


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        reply = answer(DNSRecord.parse(self.request[0]), self.server.view)
        if reply:
            self.request[1].sendto(reply.pack(), self.client_address)


class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        while size := self.rfile.read(2):
            reply = answer(DNSRecord.parse(self.rfile.read(int.from_bytes(size, "big"))), self.server.view)
            if not reply:
                return
            data = reply.pack()
            self.wfile.write(len(data).to_bytes(2, "big") + data)


if __name__ == "__main__":
    socketserver.TCPServer.allow_reuse_address = True
    for ip, view in (("127.0.0.53", "sender"), ("127.0.0.54", "destination")):
        for server in (
            socketserver.ThreadingUDPServer((ip, 53), Datagram),
            socketserver.ThreadingTCPServer((ip, 53), Stream),
        ):
            server.view = view
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever).start()
