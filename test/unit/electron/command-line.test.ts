import { expect, it } from 'vitest';
import { unpacked } from '../../../src-main/base/unpacked.ts';
import { serviceName, workspaceArgument } from '../../../src-main/electron/command-line.ts';

it('finds the workspace between switches of others', () => {
  expect(workspaceArgument(['electron', '.', '--no-sandbox'])).toBeUndefined();
  expect(workspaceArgument(['app', '--no-sandbox', '--workspace', '/w', '--lang=de'])).toBe('/w');
  expect(workspaceArgument(['app', '--workspace=/w=1'])).toBe('/w=1');
  // The empty name is told apart from none, as the command does.
  expect(workspaceArgument(['app', '--workspace'])).toBe('');
});

it('finds the file on the disk behind one in the packed app', () => {
  expect(unpacked('/opt/x/resources/app.asar/dist/training/trainer-process.js')).toBe(
    '/opt/x/resources/app.asar.unpacked/dist/training/trainer-process.js',
  );
  expect(unpacked('C:\\x\\app.asar\\dist\\a.js')).toBe('C:\\x\\app.asar.unpacked\\dist\\a.js');
  for (const same of ['/clone/dist/a.js', '/x/app.asar.unpacked/dist/a.js']) expect(unpacked(same)).toBe(same);
});

it('names processes by their programs', () => {
  expect(serviceName('/x/dist/training/trainer-process.js')).toBe('trainer-process');
});
