/** What only the desktop app can do; browsers have none of it. */
import type { Bridge, Channels, DesktopRequest, MenuCommand } from '../../src-main/electron/desktop-requests.ts';
import { PortClient } from './port-client.ts';

declare global {
  interface Window {
    /** Put there by the desktop app's preload. */
    sidetune?: Bridge;
  }
}

const portChannel: Channels['port'] = 'studio:port';

/** The studio through a port to the main process: the preload hears of it, and hands the other end on. */
export function connectToDesktop(): PortClient {
  const { port1, port2 } = new MessageChannel();
  window.postMessage(portChannel, location.origin, [port2]);
  return new PortClient(port1);
}

export class Desktop {
  constructor(private readonly bridge: Bridge) {}

  /** @returns null where the user chose none */
  chooseFolder(): Promise<string | null> {
    return this.ask({ ask: 'choose-folder' });
  }

  /** @param extensions with their dots; @returns null where the user chose none */
  chooseFile(extensions: string[]): Promise<string | null> {
    return this.ask({ ask: 'choose-file', extensions });
  }

  async reveal(path: string): Promise<void> {
    await this.ask({ ask: 'reveal', path });
  }

  /** Goes on with a drag that began on something of the window as one of the file at `path`, out to other programs. */
  async dragOut(event: DragEvent, path: string): Promise<void> {
    event.preventDefault();
    await this.ask({ ask: 'drag-out', path });
  }

  /** Where a dropped file or folder lies. */
  pathOf(file: File): string {
    return this.bridge.pathOf(file);
  }

  /** Puts commands into the menu. @param run is given the id of each that is chosen there */
  async showMenu(commands: readonly MenuCommand[], run: (id: string) => void): Promise<void> {
    this.bridge.onCommand(run);
    await this.ask({ ask: 'menu', commands: commands.map(({ id, title, keys }) => ({ id, title, keys })) });
  }

  private async ask(request: DesktopRequest): Promise<string | null> {
    const answer = await this.bridge.ask(request);
    if (!answer.ok) throw new Error(answer.message);
    return answer.path;
  }
}
