#!/usr/bin/env node
// `npm run dev [-- --workspace DIR --port N]`: the window from its sources, with hot reload, in front of a real studio.
// Vite hands on what is the studio's, with the browser's own cookie: whoever has no key gets no further than the sources.
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createServer } from 'vite';
import { buildIfStale } from './build.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const built = (file) => import(new URL(`../../dist/${file}`, import.meta.url).href);

/** What the studio answers; all else is Vite's, whose own socket is asked for as `/?token=` too. */
const STUDIO = { '^/\\?token=': false, '^/(call|picture|exported|upload)\\b': false, '^/events$': true };

/** The studio knows its own pages by their origin: those of Vite's address are, others keep theirs and are refused. */
function asOwnPage(studio, ownOrigins) {
  return (request, { headers }) => {
    if (ownOrigins().includes(headers.origin)) request.setHeader('origin', studio);
  };
}

async function serve({ workspace, port }) {
  buildIfStale();
  const { Workspace } = await built('studio/contract.js');
  const { Studio } = await built('studio/service/studio.js');
  const { startHost } = await built('host/serve.js');
  const { SECURITY_HEADERS } = await built('host/pages.js');
  const studio = await Studio.open(await Workspace.open(workspace));
  const host = await startHost({ studio, pages: new Map(), port: 0 });
  const target = `http://127.0.0.1:${host.port}`;
  const ownOrigins = () => {
    const address = vite.httpServer.address();
    return ['127.0.0.1', 'localhost'].map((name) => `http://${name}:${address.port}`);
  };
  const proxied = {
    target,
    changeOrigin: true,
    configure: (proxy) => {
      for (const event of ['proxyReq', 'proxyReqWs']) proxy.on(event, asOwnPage(target, ownOrigins));
    },
  };
  const vite = await createServer({
    configFile: path.join(root, 'src-renderer', 'vite.config.ts'),
    cacheDir: path.join(root, 'dist', '.vite'),
    clearScreen: false,
    server: {
      host: '127.0.0.1',
      port,
      cors: false,
      fs: { allow: [root, realpathSync(path.join(root, 'node_modules'))] },
      proxy: Object.fromEntries(Object.entries(STUDIO).map(([address, ws]) => [address, { ...proxied, ws }])),
      headers: {
        ...SECURITY_HEADERS,
        // Here, and here only: Vite puts styles into the page itself, to change them while it is open.
        'content-security-policy': SECURITY_HEADERS['content-security-policy'].replace(
          "style-src 'self'",
          "style-src 'self' 'unsafe-inline'",
        ),
      },
    },
  });
  await vite.listen();
  const [origin] = ownOrigins();
  process.stdout.write(`The window, from its sources, is at ${origin}/?token=${host.token}\n`);
  let closing = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, async () => {
      if (closing) process.exit(1);
      closing = true;
      await vite.close();
      await host.close();
      await studio.close();
      process.exit();
    });
}

try {
  const { values } = parseArgs({
    options: { workspace: { type: 'string' }, port: { type: 'string', default: '5173' } },
  });
  await serve({ workspace: values.workspace, port: Number(values.port) });
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
