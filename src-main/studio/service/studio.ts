/** The studio as a whole: answers the contract's calls for a workspace, runs its jobs, and tells what happens. */
import { join } from 'node:path';
import { describeError } from '../../base/describe-error.ts';
import { writeLog } from '../../base/error-log.ts';
import { Failure } from '../../base/failure.ts';
import type { SessionPlace } from '../../engine/session-place.ts';
import { takeLock } from '../../workspace/lock.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { calls, type CallName, type CheckedRequestOf, type ReplyOf } from './calls.ts';
import type { Answered, Listener } from './client.ts';
import type { Job, StudioError, StudioEvent } from './events.ts';
import { handlersOf, type Handlers } from './handlers.ts';
import { EdgeDevice } from '../edge/device.ts';
import { EdgeServing } from '../edge/window-server.ts';
import { LoadedDatasets } from '../datasets/loaded-datasets.ts';
import { Pictures } from '../pictures.ts';
import { placeVit } from '../preferences.ts';
import { RunAnalysis } from '../analysis/run-analysis.ts';
import { exportedFile } from '../export.ts';
import type { Closable } from '../kept-open.ts';
import { emptyTrash } from '../run-trash.ts';
import { TryOut } from '../try-out.ts';
import type { ArrivedUpload } from '../datasets/uploads.ts';
import { Jobs } from './jobs.ts';
import { performerOf, type ImportRequest } from './perform.ts';

export class Studio {
  private constructor(
    readonly workspace: Workspace,
    private readonly listeners: Set<Listener>,
    private readonly jobs: Jobs,
    private readonly pictures: Pictures,
    /** What else is closed with the studio. */
    private readonly kept: readonly Closable[],
    private readonly handlers: Handlers,
    private readonly release: () => Promise<void>,
  ) {}

  /**
   * Opens the studio of a workspace; close it in the end.
   * @param vitPlace where the ViT runs unless the user has said otherwise
   * @throws Failure `workspace-open` where another studio has it open
   */
  static async open(workspace: Workspace, vitPlace: SessionPlace = 'thread'): Promise<Studio> {
    await placeVit(workspace, vitPlace);
    const release = await takeLock(join(workspace.root, 'studio.lock'));
    if (!release)
      throw new Failure(
        'workspace-open',
        `The workspace "${workspace.root}" is open in another studio window or server: use that one, close it, or choose another with --workspace.`,
      );
    const listeners = new Set<Listener>();
    const tell = (event: StudioEvent) => {
      for (const listener of listeners) listener(event);
    };
    const jobs = await Jobs.open(
      join(workspace.root, 'jobs.json'),
      performerOf(workspace, tell),
      (job) => tell({ type: 'job', job }),
      (error) => describeIn(workspace, 'job', error),
    );
    const datasets = new LoadedDatasets(workspace);
    const tryOut = new TryOut(workspace);
    const analysis = new RunAnalysis(workspace, (name) => datasets.get(name));
    const serving = new EdgeServing(workspace, (server) => tell({ type: 'edge', server }));
    const device = new EdgeDevice(workspace, (server) => serving.certificateOf(server));
    const handlers = handlersOf(workspace, jobs, datasets, tryOut, analysis, { serving, device }, tell, vitPlace);
    // What is in the way of tidying up is no reason not to open.
    await emptyTrash(workspace).catch(() => undefined);
    const kept = [tryOut, analysis, device, serving];
    return new Studio(workspace, listeners, jobs, new Pictures(datasets), kept, handlers, release);
  }

  /** Answers one call, whatever was sent: nothing is thrown, and an error is one sentence. */
  async answer(name: string, request: unknown): Promise<Answered> {
    try {
      if (!isCallName(name)) throw new Failure('unknown-call', `The studio has no call "${name}".`);
      return { ok: true, reply: await this.call(name, request) };
    } catch (error) {
      return { ok: false, error: await describeIn(this.workspace, name, error) };
    }
  }

  /** A small picture of a dataset's image, as JPEG; undefined where there is none to be had. */
  thumbnail(dataset: string, index: number, longest: number): Promise<Uint8Array | undefined> {
    return this.pictures.thumbnail(dataset, index, longest).catch(() => undefined);
  }

  /** Path of one file of an export of a run, by its exact name; undefined for whatever else is asked. */
  exportedFile(run: string, exported: string, name: string): Promise<string | undefined> {
    return exportedFile(this.workspace, run, exported, name).catch(() => undefined);
  }

  /** Imports a folder that was sent, as a copy. */
  importUpload({ id, path, name }: ArrivedUpload): Job {
    const request: ImportRequest = { path, name, copy: true, uploaded: id };
    return this.jobs.add('import', name, request);
  }

  /** @returns how to stop listening */
  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Stops what runs, so that it can be resumed, and gives the workspace back. */
  async close(): Promise<void> {
    await this.jobs.close();
    await this.pictures.close();
    for (const each of this.kept) await each.close();
    await this.release();
  }

  private async call<Name extends CallName>(name: Name, request: unknown): Promise<ReplyOf<Name>> {
    const checked = calls[name].request.safeParse(request);
    if (!checked.success) {
      const [issue] = checked.error.issues;
      const where = issue?.path.length ? ` (${issue.path.join('.')})` : '';
      throw new Failure('bad-request', `The call ${name} cannot be understood${where}: ${issue?.message ?? ''}.`);
    }
    return this.handlers[name](checked.data as CheckedRequestOf<Name>);
  }
}

/** @param what was being done, for the log */
function describeIn({ root }: Workspace, what: string, error: unknown): Promise<StudioError> {
  return describeError(error, (whole) => writeLog(join(root, 'logs'), whole, [what]));
}

function isCallName(name: string): name is CallName {
  return Object.hasOwn(calls, name);
}
