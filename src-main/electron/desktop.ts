/** The studio's window, and what the system shows of it: menu, dialogs, notices, progress. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { app, BrowserWindow, dialog, ipcMain, Menu, Notification, screen, shell } from 'electron';
import type { IpcMainEvent, IpcMainInvokeEvent, MessageBoxSyncOptions } from 'electron';
import type { Studio } from '../studio/service/studio.ts';
import { isOwn, mayNavigate, ORIGIN } from './addresses.ts';
import { Crashes } from './crashes.ts';
import { desktopRequestSchema, type Channels, type DesktopAnswer, type DesktopRequest } from './desktop-requests.ts';
import { JobWatch, type Notice } from './job-watch.ts';
import { menuTemplate } from './menu.ts';
import { serveOnPort, type Port } from './port.ts';
import { keepWindowState, placeWindow, readWindowState, SMALLEST } from './window-state.ts';
import { words } from './words.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const PRELOAD = here('./preload.cjs');
const ICON = here('../../resources/icons/64x64.png');
const portChannel: Channels['port'] = 'studio:port';
const askChannel: Channels['ask'] = 'desktop:ask';
const commandChannel: Channels['command'] = 'desktop:command';

export class Desktop {
  private window: BrowserWindow | undefined;
  private opening: Promise<void> | undefined;
  private readonly crashes = new Crashes();
  private readonly jobs = new JobWatch();
  private readonly stateFile = join(app.getPath('userData'), 'window.json');
  /** Notices that are on the screen: one that is collected as garbage no longer hears the click on it. */
  private readonly notices = new Set<Notification>();

  constructor(private readonly studio: Studio) {
    ipcMain.on(portChannel, (event) => this.connect(event));
    ipcMain.handle(askChannel, (event, request: unknown) => this.answer(event, request));
    studio.subscribe((event) => {
      const notice = this.jobs.see(event);
      if (notice && !this.window?.isFocused()) this.notify(notice);
      this.window?.setProgressBar(this.jobs.share);
    });
  }

  /** Brings the window to the front; opens it where there is none. */
  async show(): Promise<void> {
    if (!this.window) await (this.opening ??= this.open().finally(() => (this.opening = undefined)));
    else if (this.window.isMinimized()) this.window.restore();
    this.window?.show();
    this.window?.focus();
  }

  /** Whether nothing runs, or the user wants to leave all the same. */
  mayQuit(): boolean {
    if (this.jobs.count === 0) return true;
    const question: MessageBoxSyncOptions = {
      type: 'question',
      message: words.leave.message(this.jobs.count),
      detail: words.leave.detail,
      buttons: [words.leave.quit, words.leave.stay],
      defaultId: 1,
      cancelId: 1,
    };
    return (this.window ? dialog.showMessageBoxSync(this.window, question) : dialog.showMessageBoxSync(question)) === 0;
  }

  private async open(): Promise<void> {
    const { primary, displays } = { primary: screen.getPrimaryDisplay(), displays: screen.getAllDisplays() };
    const others = displays.filter(({ id }) => id !== primary.id).map(({ workArea }) => workArea);
    const { place, maximized } = placeWindow(await readWindowState(this.stateFile), [primary.workArea, ...others]);
    const window = new BrowserWindow({
      ...place,
      minWidth: SMALLEST.width,
      minHeight: SMALLEST.height,
      title: words.product,
      icon: ICON,
      show: false,
      webPreferences: {
        preload: PRELOAD,
        contextIsolation: true,
        sandbox: true,
        nodeIntegration: false,
        webSecurity: true,
        spellcheck: false,
      },
    });
    this.window = window;
    if (maximized) window.maximize();
    this.guard(window);
    window.on('close', (event) => this.closing(window, event));
    window.on('closed', () => {
      if (this.window === window) this.window = undefined;
    });
    window.webContents.on('render-process-gone', (_event, { reason }) => {
      if (reason !== 'clean-exit') this.reopen(window);
    });
    await window.loadURL(`${ORIGIN}/`);
  }

  /** The one page stays where it is, and opens nothing. */
  private guard({ webContents }: BrowserWindow): void {
    const stay = (event: { preventDefault(): void; url: string }) => {
      if (!mayNavigate(event.url)) event.preventDefault();
    };
    webContents.on('will-navigate', stay);
    webContents.on('will-frame-navigate', stay);
    webContents.on('will-redirect', stay);
    webContents.on('will-attach-webview', (event) => event.preventDefault());
    webContents.setWindowOpenHandler(() => ({ action: 'deny' }));
  }

  private closing(window: BrowserWindow, event: { preventDefault(): void }): void {
    const state = { place: window.getNormalBounds(), maximized: window.isMaximized() };
    // A full disk is no reason to keep a window open.
    keepWindowState(this.stateFile, state).catch(() => undefined);
    // Elsewhere than on macOS the last window takes the app along: that has to be asked for before it is gone.
    if (process.platform === 'darwin' || BrowserWindow.getAllWindows().length > 1) return;
    event.preventDefault();
    app.quit();
  }

  /** A new window before the old one goes, which else would be the end of the app. */
  private reopen(crashed: BrowserWindow): void {
    if (!this.crashes.reopens(Date.now())) {
      const { message, detail, again, quit } = words.gone;
      const choice = dialog.showMessageBoxSync({ type: 'error', message, detail, buttons: [again, quit], cancelId: 1 });
      if (choice === 1) {
        app.quit();
        return;
      }
    }
    this.window = undefined;
    void this.show().finally(() => crashed.destroy());
  }

  private notify({ title, body }: Notice): void {
    if (!Notification.isSupported()) return;
    const notice = new Notification({ title, body });
    this.notices.add(notice);
    notice.on('click', () => void this.show());
    notice.on('close', () => this.notices.delete(notice));
    notice.show();
  }

  private isTrusted({ senderFrame, sender }: IpcMainEvent | IpcMainInvokeEvent): boolean {
    const isWindow = sender === this.window?.webContents && senderFrame === sender.mainFrame;
    return isWindow && isOwn(senderFrame.url);
  }

  private connect(event: IpcMainEvent): void {
    const [port] = event.ports;
    if (!port || !this.isTrusted(event)) return;
    const wrapped: Port = {
      post: (message) => port.postMessage(message),
      listen: (listener) => port.on('message', ({ data }) => listener(data)),
    };
    // A page that is loaded again brings a port of its own, and the old one closes.
    port.on('close', serveOnPort(this.studio, wrapped));
    port.start();
  }

  private async answer(event: IpcMainInvokeEvent, raw: unknown): Promise<DesktopAnswer> {
    const request = desktopRequestSchema.safeParse(raw);
    const { window } = this;
    if (!request.success || !window || !this.isTrusted(event))
      return { ok: false, message: 'The desktop does not understand the window.' };
    return this.perform(request.data, window);
  }

  private async perform(request: DesktopRequest, window: BrowserWindow): Promise<DesktopAnswer> {
    switch (request.ask) {
      case 'choose-folder':
        return chosen(await dialog.showOpenDialog(window, { properties: ['openDirectory', 'createDirectory'] }));
      case 'choose-file': {
        const extensions = request.extensions.map((extension) => extension.slice(1) || '*');
        const filters = [{ name: extensions.join(', '), extensions }];
        return chosen(await dialog.showOpenDialog(window, { properties: ['openFile'], filters }));
      }
      case 'reveal':
      case 'drag-out': {
        const { ask, path } = request;
        const found = await stat(path).catch(() => undefined);
        if (!found) return { ok: false, message: `"${path}" is no longer there.` };
        if (ask === 'reveal') shell.showItemInFolder(path);
        else window.webContents.startDrag({ file: path, icon: ICON });
        return { ok: true, path };
      }
      case 'menu': {
        const template = menuTemplate({
          commands: request.commands,
          platform: process.platform,
          developing: !app.isPackaged,
          choose: (id) => window.webContents.send(commandChannel, id),
          revealWorkspace: () => void shell.openPath(this.studio.workspace.root),
        });
        Menu.setApplicationMenu(Menu.buildFromTemplate(template));
        return { ok: true, path: null };
      }
    }
  }
}

function chosen({ canceled, filePaths }: { canceled: boolean; filePaths: string[] }): DesktopAnswer {
  return { ok: true, path: canceled ? null : (filePaths[0] ?? null) };
}
