import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../..');

/** A clone in small: the real launcher and compiler settings around a command of three lines. */
let clone: string;

beforeEach(() => {
  clone = mkdtempSync(path.join(tmpdir(), 'sidetune-launcher-'));
  mkdirSync(path.join(clone, 'src-main/cli'), { recursive: true });
  for (const file of ['package.json', 'tsconfig.json', 'tsconfig.build.json'])
    cpSync(path.join(root, file), path.join(clone, file));
  for (const file of ['build.mjs', 'sidetune.mjs']) {
    cpSync(path.join(root, 'src-main/cli', file), path.join(clone, 'src-main/cli', file));
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(clone, 'node_modules'));
  write('word.ts', `export const word: string = 'first';`);
  write('main.ts', `import { word } from './word.ts';\nconsole.log(word, process.argv.slice(2).join(' '));`);
});

afterEach(() => rmSync(clone, { recursive: true, force: true }));

const write = (file: string, text: string) => writeFileSync(path.join(clone, 'src-main/cli', file), text);

/** Runs the launcher in the clone. */
function launch(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(clone, 'src-main/cli/sidetune.mjs'), ...args], { cwd: tmpdir() });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('the launcher', () => {
  it('builds at the first run, then starts at once, then builds what changed', async () => {
    const first = await launch('demo', '--json');
    expect(first).toEqual({ code: 0, stdout: 'first demo --json\n', stderr: 'Building sidetune (first run)...\n' });
    expect(await launch('demo')).toEqual({ code: 0, stdout: 'first demo\n', stderr: '' });
    write('word.ts', `export const word: string = 'second';`);
    expect(await launch()).toMatchObject({
      code: 0,
      stdout: 'second \n',
      stderr: 'Building sidetune (sources changed)...\n',
    });
  });

  it('may be started several times at once', async () => {
    const runs = await Promise.all(['a', 'b', 'c'].map((name) => launch(name)));
    expect(runs.map((run) => [run.code, run.stdout])).toEqual(['a', 'b', 'c'].map((name) => [0, `first ${name}\n`]));
  });

  it('says what the compiler said, keeps the error in --json, and runs nothing', async () => {
    write('word.ts', `export const word: string = 7;`);
    const { code, stdout, stderr } = await launch('--json');
    expect(code).toBe(1);
    expect(stderr).toContain('Sidetune could not be built: the TypeScript compiler refused the sources:');
    expect(stderr).toContain('src-main/cli/word.ts(1,14): error TS2322');
    const line = JSON.parse(stdout) as { error: { code: string; message: string } };
    expect(line.error.code).toBe('build');
  });

  it('runs an installed package, which has no sources, and says so when the build is missing too', async () => {
    await launch();
    for (const file of ['main.ts', 'word.ts', 'build.mjs']) rmSync(path.join(clone, 'src-main/cli', file));
    expect(await launch('x')).toEqual({ code: 0, stdout: 'first x\n', stderr: '' });
    rmSync(path.join(clone, 'dist'), { recursive: true });
    const { code, stderr } = await launch();
    expect(code).toBe(1);
    expect(stderr).toContain('neither a build (dist/) nor its sources (src-main/)');
  });
});
