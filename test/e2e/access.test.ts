/** What the host refuses: other sites, other names, other keys, other files. */
import { request as httpRequest } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type Server } from './open-studio.ts';

describe('the host', () => {
  let workspace: string;
  let server: Server;
  beforeAll(async () => {
    workspace = await mkdtemp(join(tmpdir(), 'studio-'));
    server = await startServer(workspace);
  }, 120_000);
  afterAll(async () => {
    await server.stop();
    await rm(workspace, { recursive: true, force: true });
  });

  /** Raw: `fetch` would tidy the path and set the headers. */
  function ask(path: string, headers: Record<string, string> = {}, method = 'GET', body = '') {
    return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
      const sent = httpRequest({ host: '127.0.0.1', port: server.port, path, method, headers }, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += String(chunk)));
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
  const key = () => ({ authorization: `Bearer ${server.token}` });

  it('serves its page with a strict policy to whoever has the key', async () => {
    const page = await ask('/', key());
    expect(page.status).toBe(200);
    expect(page.body).toContain('<title>Sidetune Studio</title>');
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain('unsafe');
    expect(page.headers['x-content-type-options']).toBe('nosniff');
  });

  it.each([
    ['no key', {}, 401],
    ['a wrong key', { authorization: 'Bearer nothing' }, 401],
    ['a wrong cookie', { cookie: 'sidetune-1=x' }, 401],
  ])('refuses %s', async (_, headers, status) => {
    expect((await ask('/', headers)).status).toBe(status);
    expect((await ask('/call/jobs.list', headers, 'POST', '{}')).status).toBe(status);
  });

  it('refuses pages of other sites, with the key too', async () => {
    for (const [name, value] of [
      ['origin', 'https://example.org'],
      ['origin', 'null'],
      ['sec-fetch-site', 'cross-site'],
    ] as const)
      expect((await ask('/call/jobs.list', { ...key(), [name]: value }, 'POST', '{}')).status).toBe(403);
  });

  it('refuses a name that was rebound to this machine', async () => {
    expect((await ask('/', { ...key(), host: `rebound.example:${server.port}` })).status).toBe(421);
    expect((await ask('/', { ...key(), host: '127.0.0.1:1' })).status).toBe(421);
  });

  it('refuses sockets on the same grounds', async () => {
    const status = (headers: Record<string, string>, path = '/events') =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, { headers });
        socket.on('unexpected-response', (_, response) => resolve(response.statusCode!));
        socket.on('open', () => {
          resolve(101);
          socket.terminate();
        });
        socket.on('error', () => undefined);
      });
    expect(await status(key())).toBe(101);
    expect(await status({})).toBe(401);
    expect(await status({ ...key(), origin: 'https://example.org' })).toBe(403);
    expect(await status({ ...key(), host: `rebound.example:${server.port}` })).toBe(421);
    expect(await status(key(), '/other')).toBe(404);
  });

  it.each([
    '/../package.json',
    '/..%2fpackage.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/assets/../../package.json',
    '/assets/..\\..\\package.json',
    '//etc/passwd',
    '/index.html/../../../package.json',
    '/picture/..%2f..%2fetc/0',
    '/picture/%2e%2e/0',
    '/picture/x/..%2f0',
    '/exported/..%2f..%2fetc/000000000000/passwd',
    '/exported/x/000000000000/..%2f..%2f..%2fpackage.json',
    '/exported/x/../../package.json',
  ])('has nothing at %s', async (path) => {
    const answer = await ask(path, key());
    expect([400, 404]).toContain(answer.status);
    expect(answer.body).not.toContain('root:');
    expect(answer.body).not.toContain('"name"');
  });

  it('answers what is no request with a status and not with silence', async () => {
    expect((await ask('/call/jobs.list', key(), 'POST', '{')).status).toBe(400);
    expect((await ask('/call/jobs.list', key(), 'POST', ' '.repeat(2 ** 20 + 1))).status).toBe(413);
    expect((await ask('/', key(), 'DELETE')).status).toBe(405);
    expect((await ask('/picture/%E0%A4%A/0', key())).status).toBe(404);
  });
});
