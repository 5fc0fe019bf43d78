import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { answerAddress } from '../../../src-main/electron/answer-address.ts';
import { mayLoad, ORIGIN } from '../../../src-main/electron/addresses.ts';
import { loadPages, SECURITY_HEADERS } from '../../../src-main/host/pages.ts';
import { rendererFolder } from '../../../src-main/host/serve-studio.ts';
import { startHost } from '../../../src-main/host/serve.ts';
import { Studio } from '../../../src-main/studio/service/studio.ts';
import { Workspace } from '../../../src-main/workspace/workspace.ts';

let folder: string;
let studio: Studio;
const page = { body: Buffer.from('<!doctype html>'), headers: { 'content-type': 'text/html; charset=utf-8' } };
const pages = new Map([['/index.html', page]]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scheme-'));
  studio = await Studio.open(await Workspace.open(join(folder, 'workspace')));
});
afterAll(async () => {
  await studio.close();
  await rm(folder, { recursive: true });
});

const answer = (url: string, method = 'GET') => answerAddress(studio, pages, { method, url });

it.each(['sidetune://studio', 'sidetune://studio/', 'sidetune://studio/index.html', 'sidetune://studio/?x#/runs'])(
  'answers %s with the page, under the host’s own headers',
  async (url) => {
    const { status, headers, body } = await answer(url);
    expect(status).toBe(200);
    expect(body).toBe(page.body);
    expect(headers).toMatchObject({ ...SECURITY_HEADERS, ...page.headers });
    expect(headers['content-security-policy']).toContain("default-src 'none'");
  },
);

it.each([
  'sidetune://studio/../../package.json',
  'sidetune://studio/..%2f..%2fpackage.json',
  'sidetune://studio//etc/passwd',
  'sidetune://studio/picture/none/0',
  'sidetune://studio/picture/%E0%A4%A/0',
  'sidetune://studio/picture/..%2f..%2f/0',
  'sidetune://elsewhere/index.html',
  'https://studio/index.html',
])('has nothing at %s', async (url) => {
  const { status, headers } = await answer(url);
  expect(status).toBe(404);
  expect(headers).toMatchObject(SECURITY_HEADERS);
});

it('answers for every file of the built window as the host does, the thread that runs an adaptor among them', async () => {
  const built = await loadPages(rendererFolder());
  const host = await startHost({ studio, pages: built, port: 0 });
  try {
    for (const path of built.keys()) {
      const url = `${ORIGIN}${path}`;
      expect(mayLoad(url), path).toBe(true);
      const { status, headers, body } = await answerAddress(studio, built, { method: 'GET', url });
      const overHttp = await fetch(`http://127.0.0.1:${host.port}${path}`, {
        headers: { authorization: `Bearer ${host.token}` },
      });
      expect([status, overHttp.status], path).toEqual([200, 200]);
      expect(Object.fromEntries(overHttp.headers), path).toMatchObject(headers);
      expect(Buffer.from(await overHttp.arrayBuffer()).equals(Buffer.from(body)), path).toBe(true);
    }
  } finally {
    await host.close();
  }
  // WebAssembly is compiled as it arrives where its type is its own, and in the one thread whose policy allows it.
  const headersOf = async (name: RegExp) => {
    const [path, ...others] = [...built.keys()].filter((each) => name.test(each));
    expect(others).toEqual([]);
    return (await answerAddress(studio, built, { method: 'GET', url: `${ORIGIN}${path}` })).headers;
  };
  expect(await headersOf(/\.wasm$/)).toMatchObject({ 'content-type': 'application/wasm' });
  expect(await headersOf(/adaptor-worker-/)).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'content-security-policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'",
  });
  expect((await headersOf(/^\/index\.html$/))['content-security-policy']).not.toContain('unsafe');
});

it('only reads', async () => expect((await answer('sidetune://studio/', 'POST')).status).toBe(405));
