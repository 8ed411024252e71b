"""aiortc (OpenSSL for DTLS, libsrtp for SRTP) calls through the relay program: sound is measured at both ends, for each
SRTP profile in both DTLS roles. Run by `./test integration`."""

import asyncio
import fractions
import struct

from aiortc import RTCPeerConnection, RTCSessionDescription, rtcdtlstransport
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender
from av import AudioFrame

from relay import Relay, answer, rtp_leg, webrtc_leg
from sound import FRAME, RATE, decode, encode, is_tone, tone

BROWSER = 440
TRUNK = 1000
WANTED = 50  # frames of the right tone at each end
PATIENCE = 60  # seconds, until a call that does not work is given up


class Microphone(AudioStreamTrack):
    """A tone, paced by aiortc's own clock."""

    frame = 0

    async def recv(self):
        silence = await super().recv()  # waits for its time
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(struct.pack(f"<{FRAME}h", *tone(BROWSER, self.frame)))
        frame.sample_rate, frame.pts, frame.time_base = RATE, silence.pts, fractions.Fraction(1, RATE)
        self.frame += 1
        return frame


class Trunk(asyncio.DatagramProtocol):
    """A plain RTP peer: counts what it hears, and speaks when it is told to."""

    def __init__(self):
        self.heard = asyncio.Semaphore(0)
        self.frame = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, _):
        if data[1] & 0x7F == 0 and is_tone(decode(data[12:]), BROWSER):
            self.heard.release()

    async def speak(self, to):
        while True:
            header = struct.pack("!BBHII", 0x80, 0, self.frame & 0xFFFF, self.frame * FRAME, 7)
            self.transport.sendto(header + encode(tone(TRUNK, self.frame)), to)
            self.frame += 1
            await asyncio.sleep(0.02)

    async def hears(self):
        for _ in range(WANTED):
            await self.heard.acquire()


async def browser_hears(track):
    wanted = WANTED
    while wanted:
        frame = await track.recv()
        channels = len(frame.layout.channels)
        samples = struct.unpack_from(f"<{frame.samples * channels}h", bytes(frame.planes[0]))
        wanted -= is_tone(samples[::channels], TRUNK, frame.sample_rate)


async def call(relay, profile, relay_role):
    """One call with this SRTP profile alone."""
    rtcdtlstransport.SRTP_PROFILES[:] = [profile]
    loop = asyncio.get_running_loop()
    transport, trunk = await loop.create_datagram_endpoint(Trunk, local_addr=("127.0.0.1", 0))
    browser = RTCPeerConnection()
    tracks = asyncio.Queue()
    browser.on("track", tracks.put_nowait)
    sender = browser.addTrack(Microphone())
    pcmu = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType == "audio/PCMU"]
    next(one for one in browser.getTransceivers() if one.sender is sender).setCodecPreferences(pcmu)
    await browser.setLocalDescription(await browser.createOffer())
    offer = browser.localDescription.sdp

    name = f"aiortc-{relay_role}"
    legs = {"a": webrtc_leg(offer, relay_role), "b": rtp_leg(transport.get_extra_info("sockname"))}
    session = {"id": name, "revision": 1, **legs}
    description = await asyncio.to_thread(relay.put, session)
    host, port = description["b"]["rtp"].rsplit(":", 1)
    speaking = asyncio.create_task(trunk.speak((host, int(port))))
    sdp = answer(offer, description["a"], relay_role)
    await browser.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
    await asyncio.gather(trunk.hears(), browser_hears(await tracks.get()))

    speaking.cancel()
    statistics = await asyncio.to_thread(relay.statistics, name)
    assert statistics["a"]["unauthentic"] == 0 and statistics["b"]["wrong_source"] == 0, statistics
    await asyncio.to_thread(relay.delete, name)
    await browser.close()
    transport.close()


async def main():
    profiles = list(rtcdtlstransport.SRTP_PROFILES)
    names = [profile.openssl_profile.decode() for profile in profiles]
    assert len(profiles) == 3, names
    with Relay() as relay:
        for profile, name in zip(profiles, names):
            for relay_role in ["passive", "active"]:
                await asyncio.wait_for(call(relay, profile, relay_role), PATIENCE)
                print(f"aiortc, {name}, relay {relay_role}: sound both ways", flush=True)


asyncio.run(main())
