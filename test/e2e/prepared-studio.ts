/** A server over a workspace that has a dataset, a backbone and a finished run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CallName, ReplyOf, RequestOf } from '../../src-main/studio/service/calls.ts';
import { replyIn, type Answered } from '../../src-main/studio/service/client.ts';
import { Stage } from '../integration/stage.ts';
import { startServer, type Server } from './open-studio.ts';

export class PreparedStudio {
  private constructor(
    readonly stage: Stage,
    readonly workspace: string,
    readonly server: Server,
    /** Of the finished run. */
    readonly run: string,
  ) {}

  static async open(): Promise<PreparedStudio> {
    const stage = await Stage.set();
    const workspace = await mkdtemp(join(tmpdir(), 'studio-'));
    const server = await startServer(workspace);
    await finish(server, 'datasets.add', { path: stage.dataset });
    await finish(server, 'backbones.add', { file: stage.backbone });
    const settings = { method: 'last', epochs: 2 } as const;
    const { run } = await finish(server, 'train.start', { dataset: 'hearts', backbone: 'vit', settings, threads: 1 });
    return new PreparedStudio(stage, workspace, server, run!);
  }

  async close(): Promise<void> {
    await this.server.stop();
    await this.stage.clear();
    await rm(this.workspace, { recursive: true, force: true });
  }

  /** Address of a page, without the key: for a browser that has been let in. */
  address(page: string): string {
    return `http://127.0.0.1:${this.server.port}/#/${page}`;
  }
}

type JobCall = { [Name in CallName]: ReplyOf<Name> extends ReplyOf<'jobs.resume'> ? Name : never }[CallName];

async function call<Name extends CallName>({ port, token }: Server, name: Name, request: RequestOf<Name>) {
  const response = await fetch(`http://127.0.0.1:${port}/call/${name}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(request),
  });
  return replyIn<Name>((await response.json()) as Answered);
}

/** Asks for a job and waits until it is done. */
async function finish<Name extends JobCall>(server: Server, name: Name, request: RequestOf<Name>) {
  const { id } = (await call(server, name, request)) as ReplyOf<'jobs.resume'>;
  for (;;) {
    const job = (await call(server, 'jobs.list', {})).find((one) => one.id === id);
    if (!job || job.error) throw new Error(`${name}: ${job?.error?.message ?? 'it is gone'}`);
    if (job.state === 'done') return job;
    await pause(50);
  }
}
