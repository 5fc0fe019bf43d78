import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from './run-cli.ts';

let base: string;
// What the launcher says when it builds is no part of these tests.
beforeAll(() => runCli(['--version']));
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'sidetune-usage-'));
});
afterEach(() => rm(base, { recursive: true }));

describe('the command line', () => {
  it('answers --help and --version', async () => {
    const help = await runCli(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain('--workspace <dir>');
    expect((await runCli(['datasets', 'add', '--help'])).stdout).toContain('--format <format>');
    const manifest = JSON.parse(await readFile(join(import.meta.dirname, '../../../package.json'), 'utf8')) as {
      version: string;
    };
    expect(await runCli(['--version'])).toMatchObject({ code: 0, stdout: `${manifest.version}\n` });
  });

  it.each([
    [['datasets', 'lst'], "Unknown command 'lst': did you mean list?"],
    [['dataset', 'list'], "Unknown command 'dataset': did you mean datasets?"],
    [['datasets', 'list', '--jsn'], "Unknown option '--jsn': did you mean --json?"],
    [['datasets', 'show'], "Missing required argument 'name': it is used as sidetune datasets show [options] <name>."],
    [['datasets', 'add', 'x', '--format', 'zip'], /--format <format>' argument 'zip' is invalid.*auto, folder, lists/],
    [['datasets', 'add', 'x', '--name'], /--name <name>' argument missing/],
  ])('%j is wrong usage: 2, one sentence, with a suggestion', async (args, sentence) => {
    const { code, stderr, json } = await runCli([...args, '--json'], { env: { SIDETUNE_HOME: base } });
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr.trim()).toEqual(typeof sentence === 'string' ? sentence : expect.stringMatching(sentence));
    expect(json).toEqual({ error: { code: 'usage', message: stderr.trim() } });
  });

  it('shows help, and 2, where no command is given', async () => {
    const none = await runCli([]);
    expect(none).toMatchObject({ code: 2, stdout: '' });
    expect(none.stderr).toContain('Usage: sidetune');
    const group = await runCli(['runs', '--json']);
    expect(group).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
  });

  it('takes the workspace from SIDETUNE_HOME, and --workspace over it', async () => {
    const env = { SIDETUNE_HOME: join(base, 'home') };
    expect((await runCli(['datasets', 'show', 'x'], { env })).code).toBe(1);
    await readFile(join(base, 'home')).catch((error: unknown) => expect(error).toMatchObject({ code: 'EISDIR' }));
    const file = join(base, 'file');
    await writeFile(file, '');
    const refused = await runCli(['datasets', 'list', '--workspace', join(file, 'in it'), '--json'], { env });
    expect(refused).toMatchObject({ code: 1, json: { error: { code: 'workspace' } } });
  });
});
