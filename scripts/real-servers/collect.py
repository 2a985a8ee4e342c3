#!/usr/bin/python3
"""Chooses from what came back, takes out traces of this machine, and writes fixtures.  collect.py LAB OUT [--review]

A message is known by the envelope sender it went to. What it means is known from the behaviour its recipient's
domain has, never from its own words."""
import collections
import email
import email.policy
import glob
import json
import os
import re
import sys

from behaviours import SENDERS, all_behaviours
from heard import Heard, code

LAB, OUT = sys.argv[1:3]
ROWS = {row.number: row for row in all_behaviours()}
BY_ADDRESS = {}
for row in ROWS.values():
    if "to" not in row.send:
        BY_ADDRESS[row.recipient.lower()] = row
        if "final" in row.send:
            BY_ADDRESS.setdefault(row.send["final"].lower(), row)
ATTEMPTS = {a["verp"]: a for a in json.load(open(f"{LAB}/attempts.json"))}
HEARD = Heard(f"{LAB}/heard.jsonl")
# How many reports of one behaviour we keep; more where few behaviours show a cause.
KEEP = 2
# The last two parts of an address in 127.0.0.0/8 from which a receiving server writes.
WRITERS = {1: None, 2: "postfix", 3: "exim", 4: "sendmail", 5: "opensmtpd", 6: "courier", 7: "dovecot", 8: "haraka", 9: "postfix",
           11: "chasquid"}


class Message:
    def __init__(self, raw):
        self.raw = raw
        self.text = raw.decode("utf-8", "replace")
        found = [v for v in re.findall(r"b\.a\.\w{13}\.\w{4}\.\w{16}", self.text) if v in ATTEMPTS]
        self.verp = found[0] if found else None
        if not found:
            return
        self.attempt = ATTEMPTS[self.verp]
        self.row = ROWS.get(self.attempt["number"])
        self.writer = self.find_writer()
        self.parsed = email.message_from_bytes(raw, policy=email.policy.compat32)
        self.blocks = self.find_blocks()
        self.kind = self.find_kind()
        self.expired = "Envelope expired" in self.text

    def find_writer(self):
        received = re.search(r"^Received: from (\S+) \(.*?\[([\d.]+)\]", self.text, re.M)
        self.by_destination = bool(received) and received[1].startswith("mx")
        if not received:
            return None
        name = re.match(r"out(\d+)\.example\.test", received[1])
        if name:
            return SENDERS[int(name[1]) - 1]
        number = re.match(r"mx(\d+)\d\d\.dest\.test", received[1])
        if re.search(r"(?m)^X-Mailer: Dovecot|^Message-ID: <dovecot-|^Auto-Submitted: auto-replied \(vacation\)|^User-Agent: Dovecot|report-type=feedback-report", self.text[:3000]):
            return "dovecot"
        if received[2].startswith("127.0.7.") or (number and number[1] == "6"):
            return "dovecot"
        if number:
            return WRITERS.get(int(number[1]) + 1)
        return WRITERS.get(int(received[2].split(".")[2]))

    def find_blocks(self):
        """The fields of each recipient in the delivery status, names in lower case."""
        for part in self.parsed.walk():
            if part.get_content_type() not in ("message/delivery-status", "message/global-delivery-status"):
                continue
            text = part.as_bytes().split(b"\n\n", 1)[1].decode("utf-8", "replace")
            blocks = []
            for block in re.split(r"\n\s*\n", re.sub(r"\r", "", text)):
                fields = re.findall(r"(?m)^([\w-]+):[ \t]*((?:.*(?:\n[ \t].*)*))", block)
                fields = {k.lower(): re.sub(r"\s*\n\s*", " ", v).strip() for k, v in fields}
                if "final-recipient" in fields:
                    blocks.append(fields)
            return blocks
        return []

    def find_kind(self):
        types = [p.get_content_type() for p in self.parsed.walk()]
        actions = {b.get("action", "").lower().split(" ")[0] for b in self.blocks}
        if "message/feedback-report" in types:
            return "feedback"
        if "failed" in actions:
            return "bounce"
        if "delayed" in actions:
            return "delay"
        if actions:
            return "not-bounce"
        if "message/disposition-notification" in types:
            return "bounce"
        if self.row and self.row.send.get("kind"):
            return self.row.send["kind"]
        if re.search(r"(?i)^subject:.*(delay|warning|still)|THIS IS A WARNING|not yet been delivered", self.text[:3000], re.M):
            return "delay"
        return "bounce"

    def recipients(self):
        """(accepted addresses, behaviour, reply) of each recipient the report is about."""
        wanted = {"bounce": "failed", "delay": "delayed"}.get(self.kind)
        found = []
        for block in self.blocks:
            if wanted and not block.get("action", "").lower().startswith(wanted):
                continue
            forms = [address_of(block[f]) for f in ("final-recipient", "original-recipient") if f in block]
            forms = [f for f in forms if f]
            row = self.row
            if row.recipient.lower() not in map(str.lower, forms):
                row = next((BY_ADDRESS[f.lower()] for f in forms if f.lower() in BY_ADDRESS), None) if "to" in row.send else row
            if row is None:
                return None
            if row is self.row and "to" not in row.send:
                forms += [row.recipient] + ([row.send["final"]] if "final" in row.send and len(self.blocks) == 1 else [])
            found.append((list(dict.fromkeys(forms)), row, self.reply(forms, row, block)))
        if not self.blocks:
            forms = self.row.recipients + ([self.row.send["final"]] if "final" in self.row.send else [])
            if "to" in self.row.send:
                # Without a delivery status, a report names its one recipient in a sentence.
                rows = [(r, BY_ADDRESS.get(r.lower())) for r in self.row.recipients if f"your mail to <{r}>" in self.text]
                return [([r], row, self.reply([r], row, {})) for r, row in rows if row]
            found.append((forms, self.row, self.reply(forms, self.row, {})))
        return found

    def reply(self, forms, row, block):
        if self.kind not in ("bounce", "delay"):
            return ""
        sender = self.attempt["sender"]
        client = f"127.0.1.{SENDERS.index(sender) + 1}"
        for ip in (client, "127.0.0.1"):
            for form in forms:
                if told := HEARD.told(self.verp, form, ip, row.address):
                    return told
        if self.writer == row.server or (self.writer == "postfix" and row.server in ("dovecot",)):
            return re.sub(r"^[\w-]+;\s*", "", block.get("diagnostic-code", ""))
        return ""


def address_of(field):
    field = field.split(";", 1)[-1].strip().strip("<>")
    return re.sub(r"\+([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), field) if re.search(r"\+[0-9A-F]{2}", field) else field


def pattern(reply):
    """A reply without what differs from message to message."""
    reply = re.sub(r"b\.a\.[\w.]+", "V", reply)
    reply = re.sub(r"\bout\d+\.example|(mx|d)\d+\.dest", "H", reply)
    return re.sub(r"\d+\.\d+\.\d+\.\d+|\b[\w-]*\d{4,}[\w-]*\b|\d+:\d+:\d+|\bu\d\b", "N", reply)


def scrub(raw):
    for trace in (LAB, os.uname().nodename):
        raw = raw.replace(trace.encode(), b"lab")
    return raw


def read_all():
    messages = []
    for file in sorted(glob.glob(f"{LAB}/harvest/*")):
        message = Message(open(file, "rb").read())
        if message.verp and message.row and message.writer and message.attempt["sender"] in message.row.senders:
            messages.append(message)
    return messages


def heard_as_meant(message, row, reply):
    """A server that was to refuse must have been heard to do so, unless it wrote the report itself.

    Else it was merely down, and the label would be wrong. Senders that know the limit of a server refuse for it."""
    if message.kind not in ("bounce", "delay") or row.server in ("dns", "network"):
        return True
    if message.by_destination and any(server == row.address for server, _ in HEARD.replies.get((message.verp, row.recipient), [])):
        return False  # it refused first, and failed for another reason later
    if message.writer == row.server or row.cause.startswith("message_too_large") or row.send.get("form") == "utf8":
        return True
    return bool(reply)


def choose(messages):
    """At most KEEP per behaviour and kind, by turns from the senders; no wording twice from the same one."""
    groups = collections.defaultdict(dict)
    for message in messages:
        groups[message.row.number, message.kind, message.expired].setdefault(message.writer, message)
    causes = collections.Counter(row.cause for row in ROWS.values())
    taken, seen, order = [], set(), collections.Counter()
    for (number, kind, expired), by_writer in sorted(groups.items(), key=lambda g: (g[0][1] == "delay", g[0][0])):
        row = ROWS[number]
        if row.send.get("kind", kind) != kind:
            continue
        keep = KEEP + (number // 100 in (8, 9)) + 2 * ("to" in row.send) + (causes[row.cause] <= 4)  # 8: filters, 9: network and DNS
        if kind == "delay":
            keep = number % 4 == 0 if expired else number % 3 != 0
        # Whoever has the fewest so far goes first.
        for writer in sorted(by_writer, key=lambda w: (order[w], w)):
            message = by_writer[writer]
            about = message.recipients()
            if not about or not keep:
                continue
            if not all(heard_as_meant(message, r, reply) for _, r, reply in about):
                continue
            words = (writer, kind, expired, row.server, tuple((pattern(reply) or number) if row.cause or "to" in row.send else number for _, r, reply in about))
            if words in seen:
                continue
            seen.add(words)
            order[writer] += 1
            keep -= 1
            taken.append((message, about))
    return taken


def cause(message, row, reply):
    """The causes a reader may find. When its time is up, OpenSMTPD writes of a delay once more, and no longer what for."""
    if message.kind not in ("bounce", "delay"):
        return ""
    causes = row.cause.split("|")
    if message.expired:
        causes.insert(0, "timeout_expired")
    if silent(message, row, reply):
        causes += ["undetermined", "timeout_expired", "host_unreachable"]
    return "|".join(dict.fromkeys(causes))


def silent(message, row, reply):
    """Whether the report keeps the reason to itself: some senders do not pass on what they were told."""
    if row.server in ("dns", "network"):
        return message.expired or (message.writer == "exim" and message.kind == "delay")
    words = re.sub(r"^\d{3}[ -]?(\d\.\d+\.\d+ )?", "", reply.split("\n")[0])
    spoken = re.sub(r"\s+", "", message.text)
    return bool(reply) and re.sub(r"\s+", "", words)[:24] not in spoken


def permanence(message, row, reply):
    """No delay says that an address is bad for good, nor does a report without a reason."""
    if row.permanence == "hard" and silent(message, row, reply):
        return "?"
    if message.kind == "bounce" or (message.kind == "delay" and row.permanence != "hard"):
        return row.permanence
    return "?"


def write(taken):
    os.makedirs(OUT, exist_ok=True)
    for old in glob.glob(f"{OUT}/*"):
        os.unlink(old)
    names, lines = collections.Counter(), []
    for message, about in taken:
        row = message.row
        what = cause(message, *about[0][1:]).split("|")[0].replace("_", "-") or message.kind
        if message.kind in ("feedback", "autoreply", "not-bounce"):
            what = message.kind
        if message.kind == "delay":
            what += "-delay"
        destination = row.server if "to" not in row.send else "several"
        name = f"{message.writer}-{destination}-{what}"
        names[name] += 1
        if names[name] > 1:
            name += f"-{names[name]}"
        with open(f"{OUT}/{name}.eml", "wb") as out:
            out.write(scrub(message.raw))
        for forms, truth, reply in about:
            # OpenSMTPD calls a message late when it gives it up.
            kind = "bounce" if message.expired else message.kind
            lines.append([f"{name}.eml", message.writer, truth.server, kind, "|".join(forms), cause(message, truth, reply),
                          permanence(message, truth, reply), reply.replace("\n", "\\n").replace("\t", " ")])
    with open(f"{OUT}/expected.tsv", "w") as out:
        print("file\tsender\tdestination\tkind\trecipient\tcause\tpermanence\treply", file=out)
        for line in sorted(lines):
            print("\t".join(line), file=out)
    return lines


def write_replies():
    seen, lines = set(), []
    told = [(v, r, s, reply) for (v, r), all_of in HEARD.replies.items() for s, reply in all_of]
    for verp, _, server, reply in told:
        row = ROWS.get(ATTEMPTS[verp]["number"]) if verp in ATTEMPTS else None
        if row and row.address == server and row.cause:
            lines.append((row, reply))
    for (_, server), all_of in HEARD.greetings.items():
        lines += [(row, reply) for row in ROWS.values() for _, reply in all_of if row.address == server and row.cause]
    with open(f"{OUT}/replies.tsv", "w") as out:
        print("destination\treply\tcause\tpermanence", file=out)
        for row, reply in sorted(lines, key=lambda line: (line[0].number, line[1])):
            words = (row.server, pattern(reply))
            if words not in seen:
                seen.add(words)
                print(row.server, reply.replace("\n", "\\n").replace("\t", " "), row.cause, row.permanence, sep="\t", file=out)
    return len(seen)


def review(messages):
    """Everything that came back, by behaviour: to be read when a behaviour is new."""
    table = collections.defaultdict(lambda: collections.defaultdict(list))
    for message in messages:
        for _, row, reply in message.recipients() or []:
            table[message.row.number][message.kind, row.cause, pattern(reply)].append(message.writer)
    for number in sorted(ROWS):
        print(f"{number} {ROWS[number].server} {ROWS[number].cause} {ROWS[number].setting[:70]}")
        for (kind, cause, words), writers in table[number].items():
            print(f"    {kind} {' '.join(f'{w}×{n}' for w, n in collections.Counter(writers).items())}: {words[:300]!r}")


def print_table(files):
    """How many of whom about whom, as docs/develop/fixtures.md shows it."""
    counts = collections.Counter((line[2], line[1]) for line in files)
    writers = [w for w, _ in collections.Counter(line[1] for line in files).most_common()]
    print(f"| | {' | '.join(writers)} |\n|---{'|--:' * len(writers)}|")
    for server in sorted({line[2] for line in files}):
        print(f"| {server} | {' | '.join(str(counts[server, w] or '') for w in writers)} |")


if __name__ == "__main__":
    messages = read_all()
    if "--review" in sys.argv:
        sys.exit(review(messages))
    lines = write(choose(messages))
    replies = write_replies()
    files = list({line[0]: line for line in lines}.values())
    for column, name in ((1, "sender"), (2, "destination"), (3, "kind")):
        print(name, dict(collections.Counter(line[column] for line in files).most_common()))
    print("cause", dict(collections.Counter(line[5].split("|")[0] for line in lines).most_common()))
    print_table(files)
    print(f"{len(files)} messages, {replies} replies")
    came = {message.row.number for message in messages}
    for number, row in sorted(ROWS.items()):
        if number not in came:
            print(f"nothing came back for behaviour {number}: {row.server}, {row.cause}, {row.setting}")
