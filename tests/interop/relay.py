"""The relay as a program of its own, spoken to over its control API."""

import http.client
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

CONFIG = """
[control]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[media]
browser_port = 0
rtp_ports = [25900, 25919]
workers = 1
"""


class Relay:
    """Runs while it is entered."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        config = Path(self.folder.name) / "relay.toml"
        config.write_text(CONFIG)
        self.process = subprocess.Popen(
            [os.environ["MEDIA_RELAY_BIN"], "run", "--config", config],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.process.stdout.readline()
        address = re.search(r"http://([\d.]+:\d+)/v1", line)
        assert address, f"the relay did not start: {line!r}"
        self.address = address[1]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def put(self, session):
        return self._ask("PUT", session["id"], session)

    def statistics(self, name):
        return self._ask("GET", name)["statistics"]

    def delete(self, name):
        self._ask("DELETE", name)

    def _ask(self, method, name, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request(method, f"/v1/sessions/{name}", body and json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, (answer.status, text)
        return json.loads(text) if text else None


def webrtc_leg(offer, dtls):
    """What signalling would tell the relay of a browser's offer."""

    def attribute(name):
        return re.search(rf"^a={name}:(.+)$", offer, re.M)[1].strip()

    algorithm, value = re.search(r"^a=fingerprint:(sha-256) (.+)$", offer, re.M).groups()
    return {
        "kind": "web_rtc",
        "remote": {
            "ufrag": attribute("ice-ufrag"),
            "password": attribute("ice-pwd"),
            "fingerprints": [{"algorithm": algorithm, "value": value.strip()}],
        },
        "dtls": dtls,
        "codecs": [PCMU],
        "direction": "send_recv",
    }


def rtp_leg(address):
    host, port = address
    return {
        "kind": "rtp",
        "interface": None,
        "remote": {"rtp": f"{host}:{port}", "rtcp": f"{host}:{port}"},
        "codecs": [PCMU],
        "direction": "send_recv",
        "learn": "never",
    }


def answer(offer, leg, dtls):
    """The SDP answer that signalling would make of the relay's description."""
    host, port = leg["candidates"][0].rsplit(":", 1)
    mid = re.search(r"^a=mid:(.+)$", offer, re.M)[1].strip()
    fingerprint = leg["fingerprint"]
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        f"a=group:BUNDLE {mid}",
        f"m=audio {port} UDP/TLS/RTP/SAVPF 0",
        f"c=IN IP4 {host}",
        f"a=mid:{mid}",
        f"a=ice-ufrag:{leg['ufrag']}",
        f"a=ice-pwd:{leg['password']}",
        f"a=fingerprint:{fingerprint['algorithm']} {fingerprint['value']}",
        f"a=setup:{dtls}",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:0 PCMU/8000",
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"


PCMU = {"name": "PCMU", "clock_rate": 8000, "channels": 1, "receive": 0, "send": 0}
