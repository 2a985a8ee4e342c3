"""Reads behaviours/*.tsv: what each domain of the lab does, and what a report about it should be taken for."""
import csv
import glob
import hashlib
import base64
import os
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
SENDERS = "postfix exim sendmail opensmtpd courier haraka chasquid dma".split()


@dataclass
class Behaviour:
    number: int
    server: str
    user: str
    cause: str
    permanence: str
    send: dict
    setting: str

    @property
    def recipient(self):
        return f"{self.user}@d{self.number}.dest.test"

    @property
    def recipients(self):
        return self.send["to"].split(",") if "to" in self.send else [self.recipient]

    @property
    def address(self):
        return address(self.number)

    @property
    def senders(self):
        if "senders" in self.send:
            return self.send["senders"].split(",")
        return [s for s in SENDERS if s not in self.send.get("without", "").split(",")]


def address(number):
    return f"127.0.{number // 100 + 1}.{number % 100}"


def all_behaviours():
    found = []
    for file in sorted(glob.glob(f"{HERE}/behaviours/*.tsv")):
        server = os.path.basename(file)[:-4]
        with open(file) as rows:
            for row in csv.reader((r for r in rows if not r.startswith("#")), delimiter="\t", quoting=csv.QUOTE_NONE):
                if not row:
                    continue
                number, user, cause, permanence, send, setting = row
                options = {} if send == "-" else dict(o.split("=", 1) for o in send.split())
                found.append(Behaviour(int(number), options.get("server", server), user, cause, permanence, options, setting))
    return found


def token(*key):
    """The local part of an envelope sender in the shape of ours: the same key gives the same one."""
    letters = base64.b32encode(hashlib.sha256("/".join(map(str, key)).encode()).digest()).decode().lower()
    return f"b.a.{letters[:13]}.{letters[13:17]}.{letters[17:33]}"
