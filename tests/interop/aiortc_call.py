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
from sound import FRAME, RATE, is_tone, tone
from trunk import BROWSER, TRUNK, WANTED, Trunk

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
    trunk = await Trunk.open()
    browser = RTCPeerConnection()
    tracks = asyncio.Queue()
    browser.on("track", tracks.put_nowait)
    sender = browser.addTrack(Microphone())
    pcmu = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType == "audio/PCMU"]
    next(one for one in browser.getTransceivers() if one.sender is sender).setCodecPreferences(pcmu)
    await browser.setLocalDescription(await browser.createOffer())
    offer = browser.localDescription.sdp

    name = f"aiortc-{relay_role}"
    legs = {"a": webrtc_leg(offer, relay_role), "b": rtp_leg(trunk.address)}
    session = {"id": name, "revision": 1, **legs}
    description = await asyncio.to_thread(relay.put, session)
    speaking = asyncio.create_task(trunk.speak(description["b"]["rtp"]))
    sdp = answer(offer, description["a"], relay_role)
    await browser.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
    await asyncio.gather(trunk.hears(), browser_hears(await tracks.get()))

    speaking.cancel()
    statistics = await asyncio.to_thread(relay.statistics, name)
    assert statistics["a"]["unauthentic"] == 0 and statistics["b"]["wrong_source"] == 0, statistics
    await asyncio.to_thread(relay.delete, name)
    await browser.close()
    trunk.transport.close()


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
