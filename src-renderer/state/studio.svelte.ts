/** The one client of this window: through a port in the desktop app, over HTTP in a browser. */
import type { StudioClient } from '../../src-main/studio/service/client.ts';
import { connectToDesktop, Desktop } from '../studio/desktop.ts';
import { HttpClient } from '../studio/http-client.ts';

class Connection {
  connected = $state(true);
  readonly desktop = window.sidetune ? new Desktop(window.sidetune) : null;
  readonly client: StudioClient = this.desktop
    ? connectToDesktop()
    : new HttpClient({ origin: location.origin, onConnection: (connected) => this.changed(connected) });
  private readonly returns = new Set<() => void>();

  /** Called when the studio can be heard again: what happened meanwhile has to be asked for. */
  onReturn(listener: () => void): void {
    this.returns.add(listener);
  }

  private changed(connected: boolean): void {
    const back = connected && !this.connected;
    this.connected = connected;
    if (back) for (const listener of this.returns) listener();
  }
}

export const connection = new Connection();
export const studio = connection.client;
