"""Makes conversations of what listen.py wrote down: who was told what, in the words of the server."""
import json
import re
from collections import defaultdict


def conversations(file):
    """(client address, server address, client's words, server's words) of each connection."""
    done, current = [], {}
    for line in open(file):
        try:
            piece = json.loads(line)
        except ValueError:  # the last line may be cut
            continue
        key = tuple(piece["c"])
        if piece["d"] == "new" or key not in current:
            current[key] = {"client": "", "server": ""}
            done.append((key[0], key[2], current[key]))
        if piece["d"] != "new":
            current[key][piece["d"]] += piece["t"]
    return [(a, b, said["client"], said["server"]) for a, b, said in done]


def code(reply):
    return int(reply[:3]) if reply[:3].isdigit() else 0


class Heard:
    """`replies[envelope sender's local part, recipient]` and `greetings[client, server]`: lists of (server, reply)."""

    def __init__(self, file):
        self.replies = defaultdict(list)
        self.greetings = defaultdict(list)
        for client, server, asked, answered in conversations(file):
            self.read(client, server, asked, answered)

    def read(self, client, server, asked, answered):
        replies = [m[0].rstrip("\r\n") for m in re.finditer(r"(?m)(?:^\d{3}-[^\n]*\n)*^\d{3}(?:[ ][^\n]*|\r?)(?:\n|\Z)", answered)]
        replies = [r.encode("latin-1").decode("utf-8", "replace").replace("\r\n", "\n") for r in replies]
        if not replies:
            return
        if code(replies[0]) >= 400:
            self.greetings[client, server].append((server, replies[0]))
            return
        at, sender, failed, accepted, mail = 1, None, {}, [], None
        while asked and at < len(replies):
            line, _, asked = asked.partition("\r\n")
            verb = line[:4].upper()
            reply = replies[at]
            at += 1
            if verb in ("EHLO", "HELO", "LHLO") and code(reply) >= 400:
                self.greetings[client, server].append((server, reply))
            if verb == "STAR" and code(reply) == 220:
                break
            if verb == "MAIL":
                # A forwarding server may wrap the sender in one of its own.
                sender, accepted = (re.search(r"b\.a\.\w{13}\.\w{4}\.\w{16}", line) or [""])[0], []
                mail = reply if code(reply) >= 400 else None
            elif verb == "RCPT":
                address = re.search(r"<([^>]*)>", line)
                address = address[1].encode("latin-1").decode("utf-8", "replace") if address else ""
                if code(reply) >= 400:
                    self.replies[sender, address.lower()].append((server, mail or reply))
                else:
                    accepted.append(address)
            elif verb in ("DATA", "BDAT"):
                finals = [reply]
                if verb == "BDAT":
                    asked = asked[int(line.split()[1]) :]
                elif code(reply) == 354:
                    _, _, asked = ("\r\n" + asked).partition("\r\n.\r\n")
                    count = len(accepted) if "LHLO" in line else 1
                    finals = replies[at : at + count]
                    at += len(finals)
                for final in finals:
                    if code(final) >= 400:
                        for address in accepted:
                            self.replies[sender, address.lower()].append((server, final))
            if verb == "MAIL" and mail:
                self.replies[sender, ""].append((server, mail))

    def told(self, sender, recipient, client, server):
        """The last refusal that concerned this message, or nothing."""
        before = [told for told in self.replies.get((sender, ""), []) if told[0] == server]
        for found in (self.replies.get((sender, recipient.lower())), before, self.greetings.get((client, server))):
            if found:
                return found[-1][1]
        return ""
