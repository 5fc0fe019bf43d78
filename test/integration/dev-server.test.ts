/** `npm run dev`: the window's sources in front of a real studio, which lets in nobody but its own window. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { afterAll, beforeAll, expect, it } from 'vitest';

let folder: string;
let server: ChildProcess;
let origin: string;
let cookie: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dev-'));
  const script = fileURLToPath(new URL('../../src-main/cli/dev.mjs', import.meta.url));
  // A port that another program has is followed by the next one.
  server = spawn(process.execPath, [script, '--workspace', join(folder, 'w'), '--port', '5473'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  server.stderr!.on('data', (text) => (said += String(text)));
  const url = await new Promise<string>((resolve, reject) => {
    server.stdout!.on('data', (text) => {
      const found = /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/.exec((said += String(text)));
      if (found) resolve(found[0]);
    });
    server.once('exit', () => reject(new Error(`it ended: ${said}`)));
  });
  ({ origin } = new URL(url));
  const entered = await fetch(url, { redirect: 'manual' });
  expect(entered.status).toBe(303);
  cookie = entered.headers.get('set-cookie')!.split(';')[0]!;
});
afterAll(async () => {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGINT');
  expect(await ended).toBe(0);
  await rm(folder, { recursive: true, force: true });
});

it('serves the sources, under the studio’s policy but for styles', async () => {
  const page = await fetch(origin);
  expect(await page.text()).toContain('/@vite/client');
  const policy = page.headers.get('content-security-policy')!;
  expect(policy).toContain("style-src 'self' 'unsafe-inline'");
  expect(policy).toContain("script-src 'self';");
  expect(await (await fetch(`${origin}/main.ts`)).text()).toContain('App.svelte');
});

it('hands calls and events on for its own window with the key, and for nobody else', async () => {
  const status = async (headers: Record<string, string>) =>
    (await fetch(`${origin}/call/jobs.list`, { method: 'POST', body: '{}', headers })).status;
  expect(await status({ cookie, origin })).toBe(200);
  expect(await status({ origin })).toBe(401);
  expect(await status({ cookie, origin: 'https://example.org' })).toBe(403);
  const opens = (headers: Record<string, string>) =>
    new Promise<boolean>((resolve) => {
      const socket = new WebSocket(`${origin.replace('http', 'ws')}/events`, { headers });
      socket.on('open', () => {
        resolve(true);
        socket.terminate();
      });
      socket.on('error', () => resolve(false));
    });
  expect(await opens({ cookie, origin })).toBe(true);
  expect(await opens({ origin })).toBe(false);
  expect(await opens({ cookie, origin: 'https://example.org' })).toBe(false);
});
