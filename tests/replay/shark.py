"""What tshark's dissectors say of a capture, as plain values: conversations, names.

sharkd is tshark that stays: one process reads file after file, each anew, in milliseconds (tshark
takes a second to begin). It is in the package that tshark depends on. Standard library only."""
import collections
import json
import re
import shutil
import subprocess

SHARKD = shutil.which("sharkd")
FIELDS = (  # sharkd takes 32 at most
    "frame.protocols", "frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
    "tcp.srcport", "tcp.dstport", "tcp.len", "tcp.flags", "udp.srcport", "udp.dstport",
    "udp.length", "dns.id", "dns.flags", "dns.count.answers", "dns.qry.name",
    "dns.qry.qu", "dns.resp.name", "dns.resp.type", "dns.resp.ttl", "dns.a", "dns.aaaa",
    "dns.cname", "dns.srv.service", "dns.srv.proto", "dns.srv.name", "dns.srv.target",
    "tls.handshake.extensions_server_name", "http.host", "http.request.method", "http.request.uri")
PREFERENCES = {"http.tls.port": "443,8443", "tcp.reassemble_out_of_order": "TRUE"}
GROUPS = ("224.0.0.251", "ff02::fb", "224.0.0.252", "ff02::1:3")
NAME_SERVERS = {"53": "dns", "5353": "mdns", "5355": "llmnr"}
ASKED_S = 30  # how long a question is remembered
SYN, ACK = 2, 16
ADDRESSES = ("A", "AAAA")
UNSPECIFIED = ("0.0.0.0", "::", "")


class Shark:

    def __init__(self):
        self.process = subprocess.Popen([SHARKD, "-"], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.requests = 0
        for name, value in PREFERENCES.items():
            self.ask("setconf", name=name, value=value)

    def call(self, method, **parameters):
        self.requests += 1
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": self.requests,
                                             "method": method, "params": parameters}) + "\n")
        self.process.stdin.flush()

    def answers(self):
        """Those up to the answer of the last call, by number."""
        answers = {}
        while self.requests not in answers:
            answer = json.loads(self.process.stdout.readline())
            answers[answer["id"]] = answer
        return answers

    def ask(self, method, **parameters):
        self.call(method, **parameters)
        return self.answers()[self.requests]["result"]

    def load(self, path):
        """False if sharkd refuses the file; then it still has the one before. A file that is
        damaged further on is read up to there, and sharkd does not answer."""
        self.call("load", file=path)
        load = self.requests
        self.call("status")
        return "error" not in self.answers().get(load, {})

    def read(self, path):
        """Packets, and conversations as tshark -q -z conv,tcp -z conv,udp counts them.

        A packet is a dictionary: field -> values, from the outermost layer to the innermost. Of
        conversations: (transport, ends): {sender: packets}."""
        if not self.load(path):
            return [], {}
        columns = {f"column{i}": f"{field}:0" for i, field in enumerate(FIELDS)}
        packets = [{field: text.split(",") if text else []
                    for field, text in zip(FIELDS, packet["c"])}
                   for packet in self.ask("frames", **columns)]
        seen = collections.defaultdict(collections.Counter)
        for tap in self.ask("tap", tap0="conv:TCP", tap1="conv:UDP").get("taps", ()):
            for one in tap["convs"]:
                here, there = (one["saddr"], one["sport"]), (one["daddr"], one["dport"])
                count = seen[tap["proto"].lower(), frozenset((here, there))]
                count[here] += one["txf"]
                count[there] += one["rxf"]
        return packets, {key: dict(+count) for key, count in seen.items()}

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=10)


Layer = collections.namedtuple("Layer", "transport source destination octets flags")


def layers(packet):
    """The TCP and UDP headers of a packet, outermost first; not those that ICMP quotes."""
    left = {field: iter(values) for field, values in packet.items()}
    ends = None
    for protocol in (packet["frame.protocols"] or [""])[0].split(":"):
        if protocol in ("ip", "ipv6"):
            ends = next(left[f"{protocol}.src"], None), next(left[f"{protocol}.dst"], None)
        elif protocol in ("icmp", "icmpv6"):
            return
        elif protocol in ("tcp", "udp") and ends:
            ports = [next(left[f"{protocol}.{side}port"], None) for side in ("src", "dst")]
            size = next(left["tcp.len" if protocol == "tcp" else "udp.length"], None)
            if size is None or None in ports:
                return
            yield Layer(protocol, (ends[0], ports[0]), (ends[1], ports[1]),
                        int(size) - (8 if protocol == "udp" else 0),
                        int(next(left["tcp.flags"], "0"), 16) if protocol == "tcp" else 0)


def spelled(name):
    return name.lower().rstrip(".")


class Names:
    """The names that a capture's packets tell by our rules, from what tshark read in them."""

    def __init__(self):
        self.told = set()  # (source, name, address)
        self.asked = {}
        self.began = set()  # connections whose SYN was seen

    def take(self, packet):
        inner = list(layers(packet))
        if not inner:
            return
        if inner[-1].flags & SYN:
            self.began.add((inner[-1].source, inner[-1].destination))
        if packet["dns.flags"]:
            self.take_dns(packet, inner[-1])
        for name in packet["tls.handshake.extensions_server_name"]:
            quic = "quic" in packet["frame.protocols"][0].split(":")
            self.tell("quic" if quic else "sni", name, inner[-1].destination[0])
        if packet["http.request.method"]:
            self.take_http(packet, inner[-1])

    def tell(self, source, name, address):
        if not re.fullmatch(r"\[?[0-9a-fA-F:]*\]?|[0-9.]+", name):
            self.told.add((source, spelled(name), address))

    def take_http(self, packet, layer):
        uri = packet["http.request.uri"][0]
        absolute = re.match(r"http://(?:[^/?]*@)?([^/:?]+)", uri)
        if packet["http.request.method"] == ["CONNECT"]:
            self.tell("http", uri.rsplit(":", 1)[0], "::")
        elif absolute:
            self.tell("http", absolute[1], "::")
        elif packet["http.host"]:
            self.tell("http", re.sub(r":\d*$", "", packet["http.host"][0]), layer.destination[0])

    def take_dns(self, packet, layer):
        flags, number = int(packet["dns.flags"][0], 16), packet["dns.id"][0]
        time = float(packet["frame.time_epoch"][0])
        if not flags & 0x8000:
            server = "" if layer.destination[0] in GROUPS else layer.destination
            if layer.source[1] == "5353" and packet["dns.qry.qu"][:1] not in (["1"], ["True"]):
                return
            if layer.transport == "udp" or (layer.source, layer.destination) in self.began:
                self.asked[layer.transport, layer.source, server, number] = time
            return
        source = NAME_SERVERS.get(layer.source[1])
        if flags & 0x780F or not source:
            return
        group = source == "mdns" and layer.destination[0] in GROUPS
        asked = [self.asked.get((layer.transport, layer.destination, server, number))
                 for server in (layer.source, "")]
        if not group and not any(
                at is not None and 0 <= time - at <= ASKED_S for at in asked):
            return
        self.take_records(packet, source)

    @staticmethod
    def records(packet):
        """(owner, type, value, ttl) of each record; tshark takes the owner of SRV apart."""
        values = {"A": iter(packet["dns.a"]), "AAAA": iter(packet["dns.aaaa"]),
                  "CNAME": iter(packet["dns.cname"]), "SRV": iter(packet["dns.srv.target"])}
        owners = iter(packet["dns.resp.name"])
        instances = zip(*(packet[f"dns.srv.{part}"] for part in ("service", "proto", "name")))
        for kind, ttl in zip(packet["dns.resp.type"], packet["dns.resp.ttl"]):
            kind = kind.split()[0]  # "A (Host Address)"
            owner = ".".join(next(instances, ())) if kind == "SRV" else next(owners, "")
            value = next(values[kind], "") if kind in values else ""
            yield spelled(owner), kind, spelled(value), ttl

    def take_records(self, packet, source):
        records = list(self.records(packet))
        if source == "mdns":
            self.take_multicast([record for record in records if record[3] != "0"])
        elif len(packet["dns.qry.name"]) == 1:
            self.take_answers(spelled(packet["dns.qry.name"][0]), source,
                              records[:int(packet["dns.count.answers"][0])])

    def take_multicast(self, records):
        for host, kind, address, _ in records:
            if kind in ADDRESSES and address not in UNSPECIFIED:
                self.tell("mdns", host, address)
                for instance, kind_of_other, target, _ in records:
                    if kind_of_other == "SRV" and target == host:
                        self.tell("mdns", instance, address)

    def take_answers(self, question, source, records):
        current = question
        for owner, kind, value, _ in records:
            if owner == current and kind == "CNAME":
                current = value
            elif owner == current and kind in ADDRESSES and value not in UNSPECIFIED:
                self.tell(source, question, value)
