/** What `--resume` may be told along with the run that it goes on with. */
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { loadBackbone } from '../backbone/catalogue.ts';
import { exists } from '../base/exists.ts';
import { Failure } from '../base/failure.ts';
import { datasetSource } from '../data/dataset-store.ts';
import { isAddress } from '../oip/served-at.ts';
import { findRun } from '../training/find-run.ts';
import { listRuns, readConfig, runFile, type RunConfig } from '../training/run-folder.ts';
import type { Settings, SettingsChoice } from '../training/settings.ts';
import { isHeld } from '../workspace/lock.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { settingInWords } from './runs.ts';
import type { TrainRequest } from './train-request.ts';

/** A request as far as the user has made it: a run that goes on knows the rest. */
export type PartialTrainRequest = Partial<Omit<TrainRequest, 'settings'>> & { settings: Partial<SettingsChoice> };

type Value = string | number | null;

/**
 * The whole request that goes on with a run: the one that was named, as `findRun` takes it, else the newest unfinished one that
 * contradicts nothing that was said.
 * @param given settings that were left out are undefined
 * @throws Failure `no-run`, `ambiguous-run`, `nothing-to-resume`, `damaged-file`; `usage` where something contradicts
 * the run that was named
 */
export async function requestToResume(workspace: Workspace, given: PartialTrainRequest): Promise<TrainRequest> {
  const config =
    typeof given.resume === 'string'
      ? await readConfig(workspace, await findRun(workspace, given.resume))
      : await newestUnfinished(workspace, given);
  checkAgainstRun(config, given);
  const { run, settings, dataset, backbone } = config;
  return {
    ...given,
    dataset: given.dataset ?? dataset,
    backbone: given.backbone ?? backbone,
    // A run that was to leave the test split unread leaves it unread, whenever that was said.
    noTest: given.noTest || config.noTest,
    settings,
    resume: run,
  };
}

async function newestUnfinished(workspace: Workspace, given: PartialTrainRequest): Promise<RunConfig> {
  const unfinished = await unfinishedRuns(workspace);
  const fitting = unfinished.filter((config) => contradictions(config, given).length === 0);
  for (const config of fitting.reverse()) if (await isOfSources(workspace, config, given)) return config;
  throw new Failure(
    'nothing-to-resume',
    unfinished.length === 0
      ? 'There is nothing to resume: every run of this workspace has finished or is being trained just now. Start a new one without --resume.'
      : `No unfinished run fits what else was said: give its id (unfinished ${unfinished.length === 1 ? 'is' : 'are'} ${unfinished.map(({ run }) => run).join(', ')}), or leave --resume out to start a new one.`,
  );
}

/** Runs that nobody is training at the moment and that have no result yet, oldest first. */
export async function unfinishedRuns(workspace: Workspace): Promise<RunConfig[]> {
  const unfinished: RunConfig[] = [];
  for (const config of await listRuns(workspace)) {
    const done = await exists(runFile(workspace, config.run, 'result'));
    if (!done && !(await isHeld(runFile(workspace, config.run, 'lock')))) unfinished.push(config);
  }
  return unfinished;
}

/** Whether the run's dataset and backbone are those that were given, by name or path, as far as they were. */
async function isOfSources(workspace: Workspace, config: RunConfig, given: PartialTrainRequest): Promise<boolean> {
  const { dataset, backbone } = given;
  if (dataset !== undefined && dataset !== config.dataset) {
    const path = await realpath(dataset).catch(() => undefined);
    const source = await datasetSource(workspace, config.dataset).catch(() => undefined);
    if (path === undefined || path !== source) return false;
  }
  if (backbone === undefined || backbone === config.backbone) return true;
  const entry = await loadBackbone(workspace, config.backbone).catch(() => undefined);
  return entry?.source === (isAddress(backbone) ? backbone.replace(/\/$/, '') : resolve(backbone));
}

/**
 * Refuses to go on with a run under other settings, on another engine or with other threads: its numbers would be
 * neither the old ones nor the new ones. The step's form and leaving the test split unread may change.
 * @throws Failure `usage`
 */
export function checkAgainstRun(config: RunConfig, given: PartialTrainRequest): void {
  const [first] = contradictions(config, given);
  if (!first) return;
  const [name, asked, kept] = first;
  throw new Failure(
    'usage',
    `Run ${config.run} has ${name} ${String(kept)} and cannot go on with ${String(asked)}: leave that out, or start a new run.`,
  );
}

type Told = [name: string, asked: Value | undefined, kept: Value];

/** What was said that is not so in a run. */
function contradictions({ settings, engine, device, threads }: RunConfig, given: PartialTrainRequest): Told[] {
  const told: Told[] = [
    ...Object.entries(given.settings).map(([name, value]): Told => [
      settingInWords(name),
      value,
      settings[name as keyof Settings],
    ]),
    ['engine', given.engine, engine],
    ['device', given.device, device],
    ['number of threads', given.threads, threads],
  ];
  return told.filter(([, asked, kept]) => asked !== undefined && asked !== kept);
}
