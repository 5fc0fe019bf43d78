import { describe, expect, it } from 'vitest';
import { isOwn, mayLoad, mayNavigate } from '../../../src-main/electron/addresses.ts';

const foreign = [
  'https://example.org/',
  'http://127.0.0.1:8500/',
  'file:///etc/passwd',
  'sidetune://studio.example.org/',
  'sidetune://other/',
  'sidetune:studio',
  'sidetune://user@studio/',
  'sidetunes://studio/',
  'javascript:alert(1)',
  'about:blank',
  'no address',
  '',
];

describe('the window', () => {
  it.each(['sidetune://studio', 'sidetune://studio/', 'sidetune://studio/index.html#/runs?x=1'])(
    'may go to its own page %s',
    (address) => expect(mayNavigate(address)).toBe(true),
  );

  it.each([
    ...foreign,
    'sidetune://studio/picture/signs/1',
    'sidetune://studio/assets/index.js',
    'data:text/html,hello',
  ])('may not go to %s', (address) => expect(mayNavigate(address)).toBe(false));

  it.each(foreign)('does not take %s for its own, and loads nothing from there', (address) => {
    expect(isOwn(address)).toBe(false);
    expect(mayLoad(address)).toBe(false);
  });

  it('loads its own files, and what it made itself', () => {
    for (const address of [
      'sidetune://studio/assets/index.js',
      'blob:sidetune://studio/1f',
      'data:image/png;base64,AA',
    ])
      expect(mayLoad(address), address).toBe(true);
    for (const address of ['blob:https://example.org/1f', 'blob:null/1f', 'wss://example.org/events'])
      expect(mayLoad(address), address).toBe(false);
  });
});
