import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { answerAddress } from '../../../src-main/electron/answer-address.ts';
import { SECURITY_HEADERS } from '../../../src-main/host/pages.ts';
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

it('only reads', async () => expect((await answer('sidetune://studio/', 'POST')).status).toBe(405));
