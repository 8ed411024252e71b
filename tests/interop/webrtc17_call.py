"""The crate `webrtc` 0.17 calls through the relay program: sound is measured at both ends, for each SRTP profile in both
DTLS roles. Run by `./test integration`."""

import asyncio
import os
from asyncio.subprocess import PIPE

from relay import Relay, answer, rtp_leg, webrtc_leg
from trunk import Trunk

PROFILES = ["SRTP_AEAD_AES_256_GCM", "SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80"]
PATIENCE = 60  # seconds, until a call that does not work is given up


async def call(relay, profile, relay_role):
    trunk = await Trunk.open()
    browser = await asyncio.create_subprocess_exec(os.environ["WEBRTC17_BIN"], profile, stdin=PIPE, stdout=PIPE)
    speaking = None
    try:
        offer = (await browser.stdout.readuntil(b"\n.")).decode()
        name = f"webrtc17-{relay_role}"
        session = {"id": name, "revision": 1, "a": webrtc_leg(offer, relay_role), "b": rtp_leg(trunk.address)}
        description = await asyncio.to_thread(relay.put, session)
        speaking = asyncio.create_task(trunk.speak(description["b"]["rtp"]))
        browser.stdin.write(answer(offer, description["a"], relay_role).encode())
        browser.stdin.write_eof()
        await asyncio.gather(trunk.hears(), browser.stdout.readuntil(b"heard"))
        statistics = await asyncio.to_thread(relay.statistics, name)
        assert statistics["a"]["unauthentic"] == 0 and statistics["b"]["wrong_source"] == 0, statistics
        await asyncio.to_thread(relay.delete, name)
    finally:
        if speaking:
            speaking.cancel()
        browser.kill()
        await browser.wait()
        trunk.transport.close()


async def main():
    with Relay() as relay:
        for profile in PROFILES:
            for relay_role in ["passive", "active"]:
                await asyncio.wait_for(call(relay, profile, relay_role), PATIENCE)
                print(f"webrtc 0.17, {profile}, relay {relay_role}: sound both ways", flush=True)


asyncio.run(main())
