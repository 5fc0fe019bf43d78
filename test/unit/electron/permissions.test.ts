import { expect, it } from 'vitest';
import { mayUse } from '../../../src-main/electron/permissions.ts';

const camera = { permission: 'media', page: 'sidetune://studio/', isMainFrame: true, media: ['video'] };

it('gives the window the camera, and lets it write to the clipboard', () => {
  expect(mayUse(camera)).toBe(true);
  expect(mayUse({ permission: 'clipboard-sanitized-write', page: 'sidetune://studio', isMainFrame: true })).toBe(true);
});

it.each([
  ['the microphone', { media: ['audio'] }],
  ['camera and microphone together', { media: ['video', 'audio'] }],
  ['media of an unknown kind', { media: ['unknown'] }],
  ['media of no kind', { media: undefined }],
  ['a foreign page', { page: 'https://sidetune.example.org/' }],
  ['a frame', { isMainFrame: false }],
  ['the screen', { permission: 'display-capture' }],
  ['notifications', { permission: 'notifications' }],
  ['the place', { permission: 'geolocation' }],
  ['reading the clipboard', { permission: 'clipboard-read' }],
  ['other programs', { permission: 'openExternal' }],
  ['what does not exist yet', { permission: 'telepathy' }],
])('refuses %s', (_what, changed) => expect(mayUse({ ...camera, ...changed })).toBe(false));
