/** What works on this machine, and why the rest does not. Everything is tried, nothing is guessed. */
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { statfs } from 'node:fs/promises';
import type { TaskOptions } from '../base/progress.ts';
import { ownVersion } from '../base/version.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { probe } from './probe.ts';
import type { Answer, Question } from './probe.ts';

export interface Diagnosis {
  engines: {
    compiled: Answer;
    /** Its `backend` is that of TF.js which ran; where it works, `why` is why that is not the native library. */
    eager: Answer;
  };
  devices: Record<string, Answer>;
  decoder: Answer;
  machine: Machine;
}

/** What the machine is; nothing is tried. */
export interface Machine {
  /** Of the program. */
  version: string;
  platform: string;
  node: string;
  cpu: string;
  /** That this process may use. */
  cores: number;
  memoryBytes: number;
  freeMemoryBytes: number;
  /** Left for this user on the workspace's disk. */
  freeDiskBytes: number;
  workspace: string;
}

/** Execution providers that onnxruntime-node's packages carry or can be given, by platform. */
export function devicesOf(platform: NodeJS.Platform, architecture: string): string[] {
  if (platform === 'darwin') return ['cpu', 'webgpu', 'coreml'];
  if (platform === 'win32') return architecture === 'x64' ? ['cpu', 'webgpu', 'dml', 'cuda'] : ['cpu', 'webgpu', 'dml'];
  return architecture === 'x64' ? ['cpu', 'webgpu', 'cuda'] : ['cpu', 'webgpu'];
}

/** Tries every engine and device, one after the other: some of them take the whole machine. */
export async function diagnose(workspace: Workspace, { onProgress, signal }: TaskOptions = {}): Promise<Diagnosis> {
  const devices = devicesOf(process.platform, process.arch);
  const total = 3 + devices.length;
  let done = 0;
  const ask = async (question: Question): Promise<Answer> => {
    signal?.throwIfAborted();
    const answer = await probe(question, { signal });
    signal?.throwIfAborted();
    onProgress?.({ task: 'try engines and devices', done: ++done, total, unit: 'trials' });
    return answer;
  };
  const compiled = await ask({ ask: 'compiled' });
  const eager = await ask({ ask: 'eager' });
  const decoder = await ask({ ask: 'decoder' });
  const found: Record<string, Answer> = {};
  for (const device of devices) found[device] = await ask({ ask: 'device', device });
  return {
    engines: { compiled, eager },
    devices: found,
    decoder,
    machine: await describeMachine(workspace),
  };
}

export async function describeMachine({ root }: Workspace): Promise<Machine> {
  const disk = await statfs(root);
  return {
    version: ownVersion(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    freeDiskBytes: disk.bavail * disk.bsize,
    workspace: root,
  };
}
