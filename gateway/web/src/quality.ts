// Loss, jitter and round trip of a call, from the browser's own statistics.

export interface Quality {
  /** Share of the peer's packets that were lost since the last sample, 0 to 1. */
  loss: number | null;
  jitterMilliseconds: number | null;
  roundTripMilliseconds: number | null;
  verdict: 'good' | 'fair' | 'poor' | null;
}

export class QualityProbe {
  private received = 0;
  private lost = 0;

  async sample(connection: RTCPeerConnection): Promise<Quality> {
    const reports = [...(await connection.getStats()).values()];
    const inbound = reports.find((report) => report.type === 'inbound-rtp' && report.kind === 'audio');
    const loss = inbound ? this.lossSince(inbound) : null;
    const jitterMilliseconds = inbound ? milliseconds(inbound.jitter) : null;
    const roundTripMilliseconds = milliseconds(roundTrip(reports));
    return { loss, jitterMilliseconds, roundTripMilliseconds, verdict: judge(loss, jitterMilliseconds, roundTripMilliseconds) };
  }

  private lossSince(inbound: { packetsReceived: number; packetsLost: number }): number | null {
    const received = inbound.packetsReceived - this.received;
    const lost = Math.max(0, inbound.packetsLost - this.lost);
    this.received = inbound.packetsReceived;
    this.lost = inbound.packetsLost;
    return received + lost > 0 ? lost / (received + lost) : null;
  }
}

/** From the peer's receiver reports where they come, else from ICE's own checks. */
function roundTrip(reports: Record<string, number | string | boolean>[]): number | undefined {
  const rtcp = reports.find((report) => report.type === 'remote-inbound-rtp');
  const pair = reports.find((report) => report.type === 'candidate-pair' && report.nominated);
  return (rtcp?.roundTripTime ?? pair?.currentRoundTripTime) as number | undefined;
}

function milliseconds(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.round(seconds * 1000);
}

/** Thresholds after ITU-T G.114 (delay) and common practice for G.711 and Opus (loss, jitter). */
function judge(loss: number | null, jitter: number | null, rtt: number | null): Quality['verdict'] {
  if (loss === null) return null;
  if (loss > 0.05 || (jitter ?? 0) > 60 || (rtt ?? 0) > 600) return 'poor';
  if (loss > 0.01 || (jitter ?? 0) > 30 || (rtt ?? 0) > 300) return 'fair';
  return 'good';
}
