import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { MOST_LANES, PRUNERS, SAMPLERS } from '../../studio/contract.ts';
import type { SweepAnswer, SweepOptions, SweepRequest } from '../../studio/sweeps/run-sweep.ts';
import { settingInWords } from '../../studio/runs.ts';
import { byteCount, checkFlags, MOST_THREADS, wholeNumber } from '../flags.ts';
import { counted, percent } from '../format.ts';
import { readJsonFile } from '../json-file.ts';
import { describeSweep, sweepTable, SWEEP } from '../sweep-words.ts';
import type { Session } from '../session.ts';
import { addRunFlags, readTrainFlags, shellWord } from './train.ts';

/** `auto` or a whole number, as typed after `flag`. */
const autoOr = (flag: string, max: number) =>
  z.string().transform((text, context): number | 'auto' => {
    if (text === 'auto') return text;
    const { data } = wholeNumber(flag, { min: 1, max }).safeParse(text);
    if (data !== undefined) return data;
    context.addIssue(`${flag} takes auto or a whole number from 1 to ${max}, not "${text}".`);
    return z.NEVER;
  });

/** Flags that a sweep has beside those of `train`, as commander hands them over. */
const sweepFlags = z.object({
  grid: z.array(z.string()).optional(),
  space: z.string().optional(),
  sampler: z.enum(SAMPLERS).optional(),
  pruner: z.enum(PRUNERS).optional(),
  trials: wholeNumber('--trials', { min: 1 }).optional(),
  parallel: wholeNumber('--parallel', { min: 1 }).optional(),
  lanes: autoOr('--lanes', MOST_LANES).optional(),
  threads: autoOr('--threads', MOST_THREADS).optional(),
  memory: byteCount('--memory').optional(),
  deterministic: z.boolean().optional(),
  retrain: z.boolean().optional(),
  resume: z.union([z.literal(true), z.string()]).optional(),
});

const extendFlags = z.object({
  by: wholeNumber('--by', { min: 1 }),
  best: wholeNumber('--best', { min: 1 }).optional(),
  trial: z.array(wholeNumber('--trial', { min: 0 })).optional(),
});

const moreFlags = sweepFlags.pick({ trials: true, parallel: true });

export function addSweepCommand(program: Command, session: Session): void {
  const sweep = program.command('sweep').description('train many settings side by side over the same features');
  addSweepFlags(addRunFlags(sweep)).action(async (options: object) => {
    const { resume, trials, parallel } = checkFlags(sweepFlags, options);
    if (resume !== undefined) return goOn(session, resume === true ? undefined : resume, { trials, parallel });
    const request = await requestOf(options);
    const { startSweep } = await import('../../studio/sweeps/run-sweep.ts');
    await finish(session, startSweep(await session.workspace(), request, listening(session)));
  });

  sweep
    .command('resume')
    .description('go on with a sweep; more trials may be asked for, of a finished one too')
    .argument('[sweep]', `${SWEEP}; the newest unfinished one when left out`)
    .option('--trials <n>', 'trials in all')
    .option('--parallel <n>', 'processes that train at a time')
    // Those of the same name that were written before the sub-command count as well.
    .action(async (named: string | undefined, options: object) =>
      goOn(session, named, checkFlags(moreFlags, { ...sweep.opts(), ...options })),
    );

  sweep
    .command('list')
    .description('all sweeps, oldest first')
    .action(async () => {
      const { listSweeps } = await import('../../studio/sweeps/sweeps.ts');
      const sweeps = await listSweeps(await session.workspace());
      session.answer({ sweeps }, sweeps.length === 0 ? nothing : sweepTable(sweeps));
    });

  sweep
    .command('show')
    .description('the trials of a sweep, the best first, and what became of the winner')
    .argument('<sweep>', SWEEP)
    .action(async (named: string) => {
      const { showSweep } = await import('../../studio/sweeps/sweeps.ts');
      const shown = await showSweep(await session.workspace(), named);
      session.answer(shown, describeSweep(shown));
    });

  sweep
    .command('stop')
    .description('stop a sweep that another process runs, so that it can be resumed; or one trial of it')
    .argument('<sweep>', SWEEP)
    .option('--trial <n>', 'end this trial only')
    .action(async (named: string, options: unknown) => {
      const { trial } = checkFlags(z.object({ trial: wholeNumber('--trial', { min: 0 }).optional() }), options);
      const { askOfSweep } = await import('../../studio/sweeps/sweeps.ts');
      const asked = trial === undefined ? { stop: true } : { stopTrial: trial };
      await askOfSweep(await session.workspace(), named, asked);
      session.answer(
        { sweep: named, ...asked },
        trial === undefined ? 'It stops in a moment.' : `Trial ${trial} ends in a moment.`,
      );
    });

  sweep
    .command('change')
    .description('change a sweep while it runs, in whichever process, or for when it goes on')
    .argument('<sweep>', SWEEP)
    .option('--trials <n>', 'trials in all')
    .option('--parallel <n>', 'processes that train at a time: more begin at once, fewer as trials end')
    // Those of the same name that were written before the sub-command count as well.
    .action(async (named: string, options: object) => {
      const more = checkFlags(moreFlags, { ...sweep.opts(), ...options });
      if (more.trials === undefined && more.parallel === undefined)
        throw new Failure('usage', 'sweep change needs --trials, --parallel or both.');
      const { askOfSweep } = await import('../../studio/sweeps/sweeps.ts');
      await askOfSweep(await session.workspace(), named, more);
      session.answer({ sweep: named, ...more }, 'It takes effect in a moment, or when the sweep goes on.');
    });

  sweep
    .command('extend')
    .description('go on with the best trials, each as a trial of its own: from where they ended, with a warm restart')
    .argument('<sweep>', SWEEP)
    .requiredOption('--by <epochs>', 'epochs more')
    .option('--best <n>', 'so many of the best (default: 3)')
    .option('--trial <n...>', 'these trials instead')
    .action(async (named: string, options: unknown) => {
      const { by: epochs, best = 3, trial } = checkFlags(extendFlags, options);
      const { askOfSweep, isRunning } = await import('../../studio/sweeps/sweeps.ts');
      const workspace = await session.workspace();
      await askOfSweep(workspace, named, { extend: { trials: trial ?? { best }, epochs } });
      if (!(await isRunning(workspace, named))) return goOn(session, named, {});
      session.answer({ sweep: named, epochs }, 'They begin in a moment, in the process that runs the sweep.');
    });

  sweep
    .command('retrain')
    .description('train the settings of a trial on train and val together, and read test once')
    .argument('<sweep>', SWEEP)
    .option('--trial <n>', 'this trial instead of the best')
    .action(async (named: string, options: unknown) => {
      const { trial } = checkFlags(z.object({ trial: wholeNumber('--trial', { min: 0 }).optional() }), options);
      const { retrainTrial } = await import('../../studio/sweeps/sweep-winner.ts');
      const { describeResult } = await import('../run-words.ts');
      const result = await retrainTrial(await session.workspace(), named, trial, session.task());
      session.answer(result, describeResult(result));
    });

  sweep
    .command('promote')
    .description('keep a trial as an ordinary run')
    .argument('<sweep>', SWEEP)
    .argument('<trial>', 'its number')
    .action(async (named: string, number: string) => {
      const { trial } = checkFlags(z.object({ trial: wholeNumber('<trial>', { min: 0 }) }), { trial: number });
      const { promoteNamed } = await import('../../studio/sweeps/sweep-winner.ts');
      const result = await promoteNamed(await session.workspace(), named, trial);
      session.answer(result, `Trial ${trial} is run ${result.run}.`);
    });

  sweep
    .command('export')
    .description('write a table of the trials, the best first, or all of them as runs of an MLflow server')
    .argument('<sweep>', SWEEP)
    .option('--out <file>', 'a .csv or .json file')
    .option('--mlflow <uri>', 'address of an MLflow server; again, it writes only what is missing there')
    .option('--experiment <name>', 'of MLflow (default: sidetune)')
    .action(async (named: string, options: { out?: string; mlflow?: string; experiment?: string }) => {
      const { out, mlflow, experiment } = options;
      if ((out === undefined) === (mlflow === undefined))
        throw new Failure('usage', 'sweep export needs either --out FILE.csv (or .json), or --mlflow URI.');
      const workspace = await session.workspace();
      if (mlflow !== undefined) {
        const { exportToMlflow } = await import('../../studio/mlflow/export-sweep.ts');
        const answer = await exportToMlflow(workspace, named, mlflow, { ...session.task(), experiment });
        const words = `${counted(answer.trials, 'trial')}, ${answer.written} of them written now: ${answer.page}`;
        session.answer(answer, words);
        return;
      }
      const { exportSweep } = await import('../../studio/sweeps/sweeps.ts');
      const written = await exportSweep(workspace, named, out!);
      session.answer(written, `${counted(written.trials, 'trial')} in ${written.file}`);
    });

  sweep
    .command('remove')
    .description('remove a sweep; runs that its trials have become stay')
    .argument('<sweep>', SWEEP)
    .action(async (named: string) => {
      const { removeSweep } = await import('../../studio/sweeps/sweeps.ts');
      const answer = await removeSweep(await session.workspace(), named);
      session.answer(answer, `Removed ${answer.removed}.`);
    });
}

const nothing =
  'No sweeps yet: start one with "sidetune sweep --dataset PATH --backbone FILE.onnx --method last --grid rank=4,8".';

function addSweepFlags(command: Command): Command {
  return command
    .option('--grid <settings...>', 'settings and their values, such as lr=1e-3,3e-3 rank=4,8')
    .option('--space <file>', 'a JSON file: for each setting a value, a list, or {"min", "max", "scale"}')
    .addOption(
      new Option('--sampler <sampler>', 'how settings are chosen (default: grid where it can be, else tpe)').choices([
        ...SAMPLERS,
      ]),
    )
    .addOption(new Option('--pruner <pruner>', 'how poor trials are ended early (default: none)').choices([...PRUNERS]))
    .option('--trials <n>', 'default: all of a grid, else 20')
    .option('--parallel <n>', 'processes that train at a time (default: as many as there are cores for)')
    .option(
      '--lanes <n>',
      'trials of the same shapes and seed that a process trains together (default: auto, as many as pay)',
    )
    .option(
      '--threads <n>',
      'of each trial, fixed for the whole sweep (default: auto, 1, or more where there are fewer trials than cores)',
    )
    .option('--memory <bytes>', 'what trials that run together may take, such as 4GB')
    .option('--deterministic', 'tpe and pruners decide in a fixed order: later, and the same each time')
    .option('--retrain', 'train the winner on train and val, and read test for that')
    .option('--resume [sweep]', 'go on with a sweep, or with the newest unfinished one');
}

async function requestOf(options: object): Promise<SweepRequest> {
  const { grid, space, resume: _, ...how } = checkFlags(sweepFlags, options);
  const { dataset, backbone, settings, resume: __, ...run } = readTrainFlags({ ...options, threads: undefined });
  const missing = Object.entries({ '--dataset': dataset, '--backbone': backbone }).filter(
    ([, given]) => given === undefined,
  );
  if (dataset === undefined || backbone === undefined)
    throw new Failure(
      'usage',
      `sweep needs ${missing.map(([flag]) => flag).join(' and ')} (or --resume SWEEP alone, to go on with one).`,
    );
  if ((grid === undefined) === (space === undefined))
    throw new Failure('usage', 'sweep needs either --grid, such as lr=1e-3,3e-3 rank=4,8, or --space FILE.json.');
  const { readGrid } = await import('../../studio/contract.ts');
  return {
    ...run,
    ...how,
    dataset,
    backbone,
    settings,
    space: grid ? readGrid(grid) : await readJsonFile(space!, 'The search space'),
  };
}

async function goOn(
  session: Session,
  named: string | undefined,
  more: { trials?: number; parallel?: number },
): Promise<void> {
  const { resumeSweep } = await import('../../studio/sweeps/run-sweep.ts');
  const { newestUnfinished } = await import('../../studio/sweeps/sweeps.ts');
  const { findSweep } = await import('../../studio/contract.ts');
  const workspace = await session.workspace();
  const sweep = named === undefined ? await newestUnfinished(workspace) : await findSweep(workspace, named);
  await finish(session, resumeSweep(workspace, sweep, more, listening(session)));
}

async function finish(session: Session, running: Promise<SweepAnswer>): Promise<void> {
  const answer = await running;
  const { showSweep } = await import('../../studio/sweeps/sweeps.ts');
  const shown = await showSweep(await session.workspace(), answer.sweep);
  // The process that asks holds it still.
  session.answer(answer, describeSweep({ ...shown, standing: 'done' }));
}

/** Says each new best, and how to go on when the command is stopped. */
function listening(session: Session): SweepOptions {
  let best = -1;
  return {
    ...session.task(),
    onStart: ({ sweep }) => {
      const { workspace } = session.globals();
      const where = workspace === undefined ? '' : ` --workspace ${shellWord(workspace)}`;
      session.whenInterrupted = `Interrupted; go on with: sidetune sweep resume ${sweep}${where}`;
    },
    onEvent: (event, state) => {
      if (event.event !== 'end') return;
      const trial = state.trials[event.trial];
      if (event.state === 'failed') session.remark(`trial ${event.trial} failed: ${event.reason}`);
      if (event.state !== 'done' || !trial || (trial.value ?? 0) <= best) return;
      best = trial.value ?? 0;
      const settings = Object.entries(trial.point).map(([name, value]) => `${settingInWords(name)} ${value}`);
      session.remark(`trial ${event.trial}: val top-1 ${percent(best)}, the best so far (${settings.join(', ')})`);
    },
  };
}
