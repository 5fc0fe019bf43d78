/** The one client of this window. In the desktop app the preload puts one in place; in a browser it goes over HTTP. */
import type { StudioClient } from '../../src-main/studio/service/client.ts';
import { HttpClient } from '../studio/http-client.ts';

declare global {
  interface Window {
    /** Put there by the desktop app's preload. */
    sidetune?: { client: StudioClient; desktop: DesktopActions };
  }
}

/** What only a desktop app can do. */
export interface DesktopActions {
  chooseFolder(): Promise<string | null>;
  chooseFile(extensions: string[]): Promise<string | null>;
  reveal(path: string): Promise<void>;
  pathOf(file: File): string;
}

class Connection {
  connected = $state(true);
  readonly desktop: DesktopActions | null = window.sidetune?.desktop ?? null;
  readonly client: StudioClient =
    window.sidetune?.client ??
    new HttpClient({ origin: location.origin, onConnection: (connected) => this.changed(connected) });
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
