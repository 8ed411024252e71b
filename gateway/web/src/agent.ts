// JsSIP's user agent as a page needs it that stays open for a whole working day.
import { UA } from 'jssip';
import RequestSender from 'jssip/lib/RequestSender.js';
import type { IncomingResponse } from 'jssip/lib/SIPMessage';
import type { UAConfiguration } from 'jssip/lib/UA';

export class Agent extends UA {
  /** Called with every 2xx to a REGISTER; JsSIP's `registered` tells of the first alone. */
  onBound: (response: IncomingResponse) => void = () => {};

  /** What JsSIP has and does not declare. */
  declare readonly transport: { recovery_options: { max_interval: number }; connect(): void };
  declare readonly normalizeTarget: (target: string) => unknown;

  /**
   * Keeps the password for as long as the user is signed in. JsSIP trades it for H(A1) at the first challenge, which
   * fits the realm and the algorithm of that challenge alone (RFC 7616 §3.4.2), while each request may bring another.
   */
  override set(parameter: keyof UAConfiguration, value: UAConfiguration[keyof UAConfiguration]): boolean {
    return parameter === 'ha1' || parameter === 'realm' || super.set(parameter, value);
  }

  /** The longest wait between two tries to connect. */
  recoverWithin(seconds: number): void {
    this.transport.recovery_options.max_interval = seconds;
  }

  /** Tries to connect at once. */
  hurry(): void {
    if (!this.isConnected()) this.transport.connect();
  }
}

/** Lets agents hear of every registration. Called once. */
export function followRegistrations(): void {
  const receive = RequestSender.prototype._receiveResponse;
  RequestSender.prototype._receiveResponse = function (response) {
    receive.call(this, response);
    const isBinding = this._method === 'REGISTER' && response.status_code >= 200 && response.status_code < 300;
    if (isBinding && this._ua instanceof Agent) this._ua.onBound(response);
  };
}
