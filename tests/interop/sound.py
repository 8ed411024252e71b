"""Tones as 16-bit samples and as G.711 µ-law, and finding them again by frequency."""

import math

RATE = 8000
FRAME = 160  # 20 ms


def tone(frequency, frame):
    """The samples of one frame of an endless tone."""
    start = frame * FRAME
    step = 2 * math.pi * frequency / RATE
    return [int(12000 * math.sin((start + n) * step)) for n in range(FRAME)]


def is_tone(samples, frequency, rate=RATE):
    """Has this frequency most of the energy? (G. Goertzel, 1958)"""
    factor = 2 * math.cos(2 * math.pi * frequency / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + factor * last - before
    power = before * before + last * last - factor * before * last
    energy = sum(sample * sample for sample in samples)
    return energy > len(samples) * 1000**2 and power > 0.35 * energy * len(samples)


def encode(samples):
    """ITU-T G.711, µ-law."""
    return bytes(_encode(sample) for sample in samples)


def decode(codes):
    """The reverse of `encode`, nearly."""
    return [_decode(code) for code in codes]


def _encode(sample):
    magnitude = min(abs(sample), 32635) + 132
    segment = (magnitude >> 7).bit_length() - 1
    sign = 0x80 if sample < 0 else 0
    return ~(sign | segment << 4 | magnitude >> segment + 3 & 0x0F) & 0xFF


def _decode(code):
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132) << (code >> 4 & 7)
    return 132 - magnitude if code & 0x80 else magnitude - 132
