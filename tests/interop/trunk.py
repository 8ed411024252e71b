"""A plain RTP peer, as a trunk is."""

import asyncio
import struct

from sound import FRAME, decode, encode, is_tone, tone

BROWSER = 440  # Hz, of what the browser says
TRUNK = 1000  # Hz, of what the trunk says
WANTED = 50  # frames of the right tone at each end


class Trunk(asyncio.DatagramProtocol):
    """A plain RTP peer: counts what it hears, and speaks when it is told to."""

    def __init__(self):
        self.heard = asyncio.Semaphore(0)
        self.frame = 0

    @classmethod
    async def open(cls):
        loop = asyncio.get_running_loop()
        _, trunk = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        return trunk

    def connection_made(self, transport):
        self.transport = transport
        self.address = transport.get_extra_info("sockname")

    def datagram_received(self, data, _):
        if data[1] & 0x7F == 0 and is_tone(decode(data[12:]), BROWSER):
            self.heard.release()

    async def speak(self, to):
        host, port = to.rsplit(":", 1)
        while True:
            header = struct.pack("!BBHII", 0x80, 0, self.frame & 0xFFFF, self.frame * FRAME, 7)
            self.transport.sendto(header + encode(tone(TRUNK, self.frame)), (host, int(port)))
            self.frame += 1
            await asyncio.sleep(0.02)

    async def hears(self):
        for _ in range(WANTED):
            await self.heard.acquire()
