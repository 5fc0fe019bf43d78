/**
 * Our processes as Electron starts them, without Electron: Node's fork under a port that behaves as its utility processes'
 * do. Both ends are the real ones, down to the programs.
 */
import { fork } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';
import { startProcess, startProcessesWith, type ProcessEnd } from '../../../src-main/base/own-process.ts';
import { startDecoder } from '../../../src-main/data/decode/start-decoder.ts';
import { runSessionsIn } from '../../../src-main/engine/session-place.ts';
import { SessionThread } from '../../../src-main/engine/session-thread.ts';
import { asOwnProcess, type Utility } from '../../../src-main/electron/own-utility.ts';
import { probe } from '../../../src-main/studio/probe.ts';

const built = new URL('../../../dist/', import.meta.url).href;
let folder: string;

/** What Electron puts into a utility process: no channel of Node's, but `process.parentPort`. */
const PARENT_PORT = `
  import { EventEmitter } from 'node:events';
  const send = process.send.bind(process);
  const port = new EventEmitter();
  // Messages wait until somebody listens.
  port.once('newListener', () => process.on('message', (data) => port.emit('message', { data, ports: [] })));
  port.postMessage = (message) => send(message);
  Object.defineProperty(process, 'parentPort', { value: port });
  Object.defineProperty(process, 'send', { value: undefined });
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'utility-'));
  await writeFile(join(folder, 'port.mjs'), PARENT_PORT);
  const port = pathToFileURL(join(folder, 'port.mjs')).href;
  startProcessesWith((program, { args = [], execArgv = [], env, stderr }) => {
    const entry = fileURLToPath(new URL('electron/utility-entry.js', built));
    const child = fork(entry, [program, ...args], {
      serialization: 'advanced',
      execArgv: [...execArgv, '--import', port],
      env,
      stdio: ['ignore', 'ignore', stderr === 'keep' ? 'pipe' : stderr, 'ipc'],
    });
    const events = new EventEmitter();
    child.on('message', (message) => events.emit('message', message));
    child.on('close', (code) => events.emit('exit', code ?? 9));
    const utility: Utility = {
      get pid() {
        return child.pid;
      },
      stderr: child.stderr,
      postMessage: (message) => void child.send(message as object, () => undefined),
      kill: () => child.kill(),
      on: (event: string, listener: (value: never) => void) => events.on(event, listener as (value: unknown) => void),
    };
    return asOwnProcess(utility);
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a process as Electron starts it', () => {
  it('decodes pictures, and is gone when it is closed', async () => {
    const path = join(folder, 'red.png');
    await sharp({ create: { width: 8, height: 8, channels: 3, background: '#ff0000' } })
      .png()
      .toFile(path);
    const decoder = await startDecoder({ concurrency: 2 });
    const { length } = await decoder.thumbnail({ path }, 4);
    expect(length).toBeGreaterThan(100);
    await expect(decoder.check({ path: join(folder, 'none.png') })).rejects.toThrow(/missing/);
    await decoder.close();
  });

  it('finds its arguments where Node puts them, and answers', async () => {
    expect(await probe({ ask: 'decoder' })).toMatchObject({ works: true });
  });

  it('runs a model, and is gone when it is closed', async () => {
    runSessionsIn('process');
    const thread = new SessionThread();
    runSessionsIn('thread');
    const size = 16;
    const session = await thread.open(writePlainVit({ size, width: 24, blocks: 1 }), 1);
    const pixels = { storage: 'float32', shape: [1, 3, size, size], data: new Float32Array(3 * size * size) } as const;
    const { last_hidden_state: states } = await session.run({ pixel_values: pixels });
    expect(states?.shape).toEqual([1, 5, 24]);
    await thread.close();
    await expect(session.run({})).rejects.toMatchObject({ code: 'inference-ended' });
  });

  /** All that a program tells, and how it ends. */
  async function run(
    source: string,
    stderr: 'keep' | 'ignore' = 'keep',
  ): Promise<{ told: unknown[]; end: ProcessEnd }> {
    const file = join(folder, `program-${Math.random()}.mjs`);
    const parent = JSON.stringify(`${built}base/parent.js`);
    await writeFile(file, `import { parent } from ${parent};\n${source}`);
    const told: unknown[] = [];
    const program = startProcess(pathToFileURL(file), { stderr });
    program.onMessage((message) => told.push(message));
    program.tell({ question: new Float32Array([1, 2]) });
    return { told, end: await new Promise((resolve) => program.onEnd(resolve)) };
  }

  it('starts no process itself, and decodes all the same', async () => {
    const { told } = await run(`
      import { startDecoder } from ${JSON.stringify(`${built}data/decode/start-decoder.js`)};
      const decoder = await startDecoder({ entry: new URL('file:///nowhere.mjs') });
      const failure = await decoder.check({ path: 'none.png' }).catch(({ code }) => code);
      parent.tell(failure);
      parent.leave();`);
    expect(told).toEqual(['image']);
  });

  it('that leaves is ended, after all that it told has been heard', async () => {
    const { told, end } = await run(`
      parent.listen((asked) => {
        for (const value of asked.question) parent.tell({ value });
        parent.leave();
      });`);
    expect(told).toEqual([{ value: 1 }, { value: 2 }]);
    expect(end.how).toBe('exit code 0');
  });

  it('that dies says how, and what it complained of', async () => {
    expect((await run('process.exit(3);')).end.how).toBe('exit code 3');
    const { end } = await run(`throw new Error('no such thing');`);
    expect(end.how).toBe('exit code 1');
    expect(end.complaint).toContain('no such thing');
  });
});
