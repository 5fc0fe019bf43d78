/** The desktop app: opens the workspace's studio, and shows it in a window. What it decides, it decides elsewhere. */
import './before-all.ts';
import { app, dialog, Menu, protocol, session } from 'electron';
import { describeError } from '../base/describe-error.ts';
import { writeLog } from '../base/error-log.ts';
import { startProcessesWith } from '../base/own-process.ts';
import { loadPages } from '../host/pages.ts';
import { rendererFolder } from '../host/serve-studio.ts';
import { Workspace, workspaceFolder } from '../studio/contract.ts';
import { Studio } from '../studio/service/studio.ts';
import { mayLoad, SCHEME } from './addresses.ts';
import { answerAddress } from './answer-address.ts';
import { workspaceArgument } from './command-line.ts';
import { Desktop } from './desktop.ts';
import { mayUse } from './permissions.ts';
import { startUtility } from './utility-process.ts';
import { words } from './words.ts';

/** One sentence in a box of the system's; the whole error in a log. */
async function tellError(title: string, error: unknown): Promise<void> {
  const folder = () => {
    try {
      return `${workspaceFolder(workspaceArgument(process.argv))}/logs`;
    } catch {
      return undefined;
    }
  };
  const { message } = await describeError(error, (whole) => writeLog(folder(), whole, ['desktop']));
  dialog.showErrorBox(title, message);
}

function guardSession(): void {
  const { defaultSession } = session;
  defaultSession.setPermissionRequestHandler((_contents, permission, answer, details) => {
    const { isMainFrame, requestingUrl: page } = details;
    answer(mayUse({ permission, page, isMainFrame, media: 'mediaTypes' in details ? details.mediaTypes : undefined }));
  });
  defaultSession.setPermissionCheckHandler((_contents, permission, page, { isMainFrame, mediaType }) =>
    mayUse({ permission, page, isMainFrame, media: mediaType === undefined ? undefined : [mediaType] }),
  );
  defaultSession.setDevicePermissionHandler(() => false);
  defaultSession.setDisplayMediaRequestHandler((_request, answer) => answer(null));
  defaultSession.webRequest.onBeforeRequest(({ url }, answer) => answer({ cancel: !mayLoad(url) }));
}

async function open(): Promise<void> {
  const pages = await loadPages(rendererFolder());
  // Several threads with onnxruntime crash Electron's main process now and then (microsoft/onnxruntime#20084).
  const studio = await Studio.open(await Workspace.open(workspaceArgument(process.argv)), 'process');
  protocol.handle(SCHEME, async (request) => {
    const { body, ...answer } = await answerAddress(studio, pages, request);
    return new Response(typeof body === 'string' ? body : new Uint8Array(body), answer);
  });
  const desktop = new Desktop(studio);
  app.on('second-instance', () => void desktop.show());
  app.on('activate', () => void desktop.show());
  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin') app.quit();
  });
  let closing: Promise<void> | undefined;
  let closed = false;
  app.on('before-quit', (event) => {
    if (closed) return;
    event.preventDefault();
    if (closing === undefined && !desktop.mayQuit()) return;
    // What runs stops after its step, and is written down as interrupted.
    closing ??= studio.close().finally(() => {
      closed = true;
      app.quit();
    });
  });
  await desktop.show();
}

protocol.registerSchemesAsPrivileged([
  {
    scheme: SCHEME,
    privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true, codeCache: true },
  },
]);
app.enableSandbox();
app.setName(words.product);
// Electron's own answer to these is a box with a stack trace.
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => void tellError(words.internal, error));
// A second copy would only find the workspace taken: the first one comes to the front.
if (!app.requestSingleInstanceLock()) app.quit();
else {
  // Until the window has said what it can do.
  Menu.setApplicationMenu(null);
  await app.whenReady();
  guardSession();
  startProcessesWith(startUtility);
  try {
    await open();
  } catch (error) {
    await tellError(words.cannotOpen, error);
    app.exit(1);
  }
}
