/**
 * What the window is given of Electron. It runs sandboxed, so it is CommonJS and can load nothing but Electron; the names
 * of the channels are literal types, so that they cannot differ from the main process's.
 */
import electron = require('electron');
import type { Bridge, Channels, DesktopAnswer } from './desktop-requests.ts' with { 'resolution-mode': 'import' };

/** The part of a page's window that is used here; DOM types are for the renderer. */
declare const window: {
  addEventListener(
    type: 'message',
    listener: (event: { source: unknown; data: unknown; ports: readonly unknown[] }) => void,
  ): void;
};

const { contextBridge, ipcRenderer, webUtils } = electron;
type Ports = NonNullable<Parameters<typeof ipcRenderer.postMessage>[2]>;
type DroppedFile = Parameters<typeof webUtils.getPathForFile>[0];
const portChannel: Channels['port'] = 'studio:port';
const askChannel: Channels['ask'] = 'desktop:ask';
const commandChannel: Channels['command'] = 'desktop:command';

// A port cannot cross the bridge, but the page may send one to itself, which is heard here too.
window.addEventListener('message', ({ source, data, ports }) => {
  if (source === window && data === portChannel) ipcRenderer.postMessage(portChannel, null, [...ports] as Ports);
});

const bridge: Bridge = {
  ask: (request) => ipcRenderer.invoke(askChannel, request) as Promise<DesktopAnswer>,
  pathOf: (file) => webUtils.getPathForFile(file as DroppedFile),
  onCommand: (listener) => {
    ipcRenderer.on(commandChannel, (_event, id: string) => listener(id));
  },
};
contextBridge.exposeInMainWorld('sidetune', bridge);
