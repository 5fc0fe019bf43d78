import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { errorCode, writeFileAtomic } from '../workspace/atomic.ts';
import { parseSealed, sealed } from '../workspace/record.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { readJournal } from './journal.ts';
import type { SweepConfig } from './sweep-config.ts';
import { sweepConfigSchema } from './sweep-config.ts';
import { endSchema, extensionSchema, type Extension, type TrialEnd } from './sweep-events.ts';

/* A sweep in the workspace: sweep.json, log.jsonl, controls.json, trials/NUMBER/ with the files of a run, and end.json. */

export const sweepFiles = {
  config: 'sweep.json',
  log: 'log.jsonl',
  controls: 'controls.json',
  lock: 'lock',
} as const;

export function sweepFile(workspace: Workspace, sweep: string, file: keyof typeof sweepFiles): string {
  return join(workspace.sweep(sweep), sweepFiles[file]);
}

/** trial 7 -> "0007": sorted as numbers are. */
export function trialName(trial: number): string {
  return String(trial).padStart(4, '0');
}

export function trialFolder(workspace: Workspace, sweep: string, trial: number): string {
  return join(workspace.sweep(sweep), 'trials', trialName(trial));
}

/** Of a sweep id, so that the whole of it stays a valid name. */
const LONGEST_DATASET_PART = 40;

/** Takes a fresh id, readable and sortable, by making its folder: nobody else gets it. */
export async function claimSweepId(workspace: Workspace, dataset: string, now = new Date()): Promise<string> {
  const stamp = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  await makeFolder(workspace.sweeps);
  for (let n = 1; ; n++) {
    const id = `${dataset.slice(0, LONGEST_DATASET_PART)}-sweep-${stamp}${n === 1 ? '' : `-${n}`}`;
    try {
      await mkdir(workspace.sweep(id));
      return id;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
}

export async function writeSweepConfig(workspace: Workspace, config: SweepConfig): Promise<void> {
  const path = sweepFile(workspace, config.sweep, 'config');
  await writeFileAtomic(path, `${JSON.stringify(sealed(config), null, 2)}\n`);
}

/**
 * What a sweep was asked for: of its file, or, where that is damaged, of its log.
 * @throws Failure `no-sweep` or `damaged-file`
 */
export async function readSweepConfig(workspace: Workspace, sweep: string): Promise<SweepConfig> {
  const path = sweepFile(workspace, sweep, 'config');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  try {
    if (text !== undefined) return sweepConfigSchema.parse(parseSealed(text));
  } catch {
    // The log has it, too.
  }
  for (const event of await readJournal(sweepFile(workspace, sweep, 'log')))
    if (event.event === 'sweep') return event.config;
  if (text === undefined)
    throw new Failure(
      'no-sweep',
      `There is no sweep "${sweep}" in this workspace: "sidetune sweep list" shows those there are.`,
    );
  throw new Failure('damaged-file', `"${path}" is damaged: put it back from a copy, or start the sweep anew.`);
}

/** What whoever watches a sweep asks of the process that runs it. */
const controlsSchema = z.object({
  trials: z.int().min(1).optional(),
  parallel: z.int().min(1).optional(),
  /** Trials to end by hand. */
  stopped: z.array(z.int().min(0)).default([]),
  /** Trials to go on with. */
  extensions: z.array(extensionSchema).default([]),
  /** Whether the sweep is to stop, to be resumed later. */
  stop: z.boolean().default(false),
});
export type AskedControls = z.infer<typeof controlsSchema>;

/** Nothing where nothing was asked, or the file is damaged: it can be asked again. */
export async function readControls(workspace: Workspace, sweep: string): Promise<AskedControls> {
  try {
    return controlsSchema.parse(parseSealed(await readFile(sweepFile(workspace, sweep, 'controls'), 'utf8')));
  } catch {
    return { stopped: [], extensions: [], stop: false };
  }
}

export async function writeControls(workspace: Workspace, sweep: string, controls: AskedControls): Promise<void> {
  await writeFileAtomic(sweepFile(workspace, sweep, 'controls'), `${JSON.stringify(sealed(controls))}\n`);
}

const END_FILE = 'end.json';

/** How a trial has ended, beside its other files: with this, a log that was cut short costs no trial. */
export async function writeTrialEnd(folder: string, end: TrialEnd): Promise<void> {
  await writeFileAtomic(join(folder, END_FILE), `${JSON.stringify(sealed(end), null, 2)}\n`);
}

/** Undefined where it has not ended, or the file is damaged: then it ends again. */
export async function readTrialEnd(folder: string): Promise<TrialEnd | undefined> {
  try {
    return endSchema.parse(parseSealed(await readFile(join(folder, END_FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

const EXTENSION_FILE = 'extension.json';

/** Which trial a trial goes on with: known, too, where the log has lost it. */
export async function writeExtension(folder: string, extension: Extension): Promise<void> {
  await writeFileAtomic(join(folder, EXTENSION_FILE), `${JSON.stringify(sealed(extension))}\n`);
}

/** Undefined where a trial began by itself. */
export async function readExtension(folder: string): Promise<Extension | undefined> {
  try {
    return extensionSchema.parse(parseSealed(await readFile(join(folder, EXTENSION_FILE), 'utf8')));
  } catch {
    return undefined;
  }
}

/** Which run a trial has become; undefined where it has become none. */
export async function readPromotion(folder: string): Promise<string | undefined> {
  try {
    return z.object({ run: z.string() }).parse(parseSealed(await readFile(join(folder, 'promoted.json'), 'utf8'))).run;
  } catch {
    return undefined;
  }
}

export async function writePromotion(folder: string, run: string): Promise<void> {
  await writeFileAtomic(join(folder, 'promoted.json'), `${JSON.stringify(sealed({ run }))}\n`);
}
