/** The built renderer as the host and the window serve it: the files there are, by exact name, and nothing else. */
import { readFile, readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { Failure } from '../base/failure.ts';

export interface Page {
  body: Buffer;
  headers: Record<string, string>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** For every answer: scripts, styles and connections of its own only, no frames, nothing guessed. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(self), microphone=(), geolocation=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * For the one script that compiles WebAssembly, on a thread of its own: that, its own files, and nothing else. The policy
 * of a thread is that of its script, so the page's stays without it.
 */
const WASM_POLICY = ["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "connect-src 'self'"].join('; ');
const WASM_SCRIPT = /^\/assets\/adaptor-worker-[\w-]+\.js$/;

export type Pages = ReadonlyMap<string, Page>;

/**
 * Reads the renderer's files once, by URL path. A path is looked up, never joined, so that none leads out of the folder.
 * @throws Failure `no-renderer` where it has not been built
 */
export async function loadPages(folder: string): Promise<Pages> {
  const pages = new Map<string, Page>();
  await loadInto(pages, folder, '');
  if (!pages.has('/index.html'))
    throw new Failure('no-renderer', 'The studio window has not been built: run "npm run build" in the clone first.');
  return pages;
}

/** Folder by folder: inside Electron's archive, no folder lists those below it. */
async function loadInto(pages: Map<string, Page>, folder: string, path: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const [file, address] = [join(folder, entry.name), `${path}/${entry.name}`];
    if (entry.isDirectory()) await loadInto(pages, file, address);
    if (!entry.isFile()) continue;
    // Names under assets/ carry a hash of their content.
    const caching = address.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-store';
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    const headers: Page['headers'] = { 'content-type': type, 'cache-control': caching };
    if (WASM_SCRIPT.test(address)) headers['content-security-policy'] = WASM_POLICY;
    pages.set(address, { body: await readFile(file), headers });
  }
}
