// ITU-T G.711: PCMU (µ-law) and PCMA (A-law), between bytes and samples from -1 to 1.

export const PCMU = { payloadType: 0, encode: encodeWith(muLaw), decode: decodeWith(fromMuLaw) };
export const PCMA = { payloadType: 8, encode: encodeWith(aLaw), decode: decodeWith(fromALaw) };

function muLaw(sample) {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(32_635, Math.abs(sample)) + 0x84;
  const exponent = Math.floor(Math.log2(magnitude)) - 7;
  return ~(sign | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0f)) & 0xff;
}

function fromMuLaw(byte) {
  const bits = ~byte & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return bits & 0x80 ? -magnitude : magnitude;
}

function aLaw(sample) {
  const sign = sample < 0 ? 0 : 0x80;
  const magnitude = Math.min(32_767, Math.abs(sample)) >> 4;
  const exponent = magnitude < 16 ? 0 : Math.floor(Math.log2(magnitude)) - 3;
  const mantissa = exponent === 0 ? magnitude : (magnitude >> (exponent - 1)) & 0x0f;
  return (sign | (exponent << 4) | (mantissa & 0x0f)) ^ 0x55;
}

function fromALaw(byte) {
  const bits = byte ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const mantissa = bits & 0x0f;
  const magnitude = exponent === 0 ? (mantissa << 4) + 8 : ((mantissa << 4) + 0x108) << (exponent - 1);
  return bits & 0x80 ? magnitude : -magnitude;
}

function encodeWith(law) {
  return (samples) => Buffer.from(Uint8Array.from(samples, (sample) => law(Math.round(sample * 32_767))));
}

function decodeWith(law) {
  return (bytes) => Float32Array.from(bytes, (byte) => law(byte) / 32_768);
}
