/** What `--resume` may be told along with the run that it goes on with. */
import { Failure } from '../base/failure.ts';
import { findRun } from '../training/find-run.ts';
import { readConfig, type RunConfig } from '../training/run-folder.ts';
import type { Settings, SettingsChoice } from '../training/settings.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { settingInWords } from './runs.ts';
import type { TrainRequest } from './train-request.ts';

/** A request as far as the user has made it: a run that goes on knows the rest. */
export type PartialTrainRequest = Partial<Omit<TrainRequest, 'settings'>> & { settings: Partial<SettingsChoice> };

type Value = string | number | null;

/**
 * The whole request that goes on with a run that was named, as `findRun` takes it.
 * @param given what was said besides the run; settings that were left out are undefined
 * @throws Failure `no-run`, `ambiguous-run`, `damaged-file`; `usage` where something contradicts the run
 */
export async function requestToResume(
  workspace: Workspace,
  named: string,
  given: PartialTrainRequest,
): Promise<TrainRequest> {
  const run = await findRun(workspace, named);
  const config = await readConfig(workspace, run);
  checkAgainstRun(config, given);
  const { settings, dataset, backbone } = config;
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

/**
 * Refuses to go on with a run under other settings, on another engine or with other threads: its numbers would be
 * neither the old ones nor the new ones. The step's form and leaving the test split unread may change.
 * @throws Failure `usage`
 */
export function checkAgainstRun(config: RunConfig, given: PartialTrainRequest): void {
  const { run, settings, engine, device, threads } = config;
  type Told = [name: string, asked: Value | undefined, kept: Value];
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
  for (const [name, asked, kept] of told)
    if (asked !== undefined && asked !== kept)
      throw new Failure(
        'usage',
        `Run ${run} has ${name} ${String(kept)} and cannot go on with ${String(asked)}: leave that out, or start a new run.`,
      );
}
