import type { Command } from 'commander';
import { Option } from 'commander';
import { z } from 'zod';
import { Failure } from '../../base/failure.ts';
import { DEEPEST, METHODS, MOST_VIEWS } from '../../studio/contract.ts';
import type { PartialTrainRequest, TrainRequest, Workspace } from '../../studio/contract.ts';
import { checkFlags, MOST_THREADS, realNumber, wholeNumber } from '../flags.ts';
import { percent } from '../format.ts';
import { describeForecast } from '../forecast-words.ts';
import { describeResult } from '../run-words.ts';
import type { Session } from '../session.ts';

/** The flags of `train` as commander hands them over. */
const trainFlags = z.object({
  dataset: z.string().optional(),
  backbone: z.string().optional(),
  method: z.enum(METHODS).optional(),
  rank: wholeNumber('--rank', { min: 1 }).optional(),
  depth: wholeNumber('--depth', { min: 1, max: DEEPEST }).optional(),
  group: wholeNumber('--group', { min: 1 }).optional(),
  upto: wholeNumber('--upto', { min: 1 }).optional(),
  pool: z.enum(['cls', 'mean']).optional(),
  warmStart: z.enum(['none', 'linear']).optional(),
  lr: realNumber('--lr', { above: 0 }).optional(),
  headLr: realNumber('--head-lr', { above: 0 }).optional(),
  weightDecay: realNumber('--weight-decay', { min: 0 }).optional(),
  dropPath: realNumber('--drop-path', { min: 0, below: 1 }).optional(),
  labelSmoothing: realNumber('--label-smoothing', { min: 0, below: 1 }).optional(),
  classWeights: z.enum(['none', 'balanced']).optional(),
  epochs: wholeNumber('--epochs', { min: 1 }).optional(),
  batch: wholeNumber('--batch', { min: 1 }).optional(),
  seed: wholeNumber('--seed', { min: 0 }).optional(),
  views: wholeNumber('--views', { min: 1, max: MOST_VIEWS }).optional(),
  limit: wholeNumber('--limit', { min: 1 }).optional(),
  cache: z.enum(['fp16', 'int8', 'none']).optional(),
  stepForm: z.enum(['plain', 'low-rank']).optional(),
  engine: z.enum(['compiled', 'eager']).optional(),
  device: z.enum(['cpu']).optional(),
  threads: wholeNumber('--threads', { min: 1, max: MOST_THREADS }).optional(),
  tokenFile: z.string().optional(),
  caFile: z.string().optional(),
  backboneCard: z.string().optional(),
  test: z.boolean(),
  forecast: z.boolean().optional(),
  resume: z.union([z.literal(true), z.string()]).optional(),
});

/** Flags in the words of the studio; what was not given is left out. @throws Failure `usage` */
export function readTrainFlags(options: unknown): PartialTrainRequest {
  const {
    lr,
    headLr,
    test,
    dataset,
    backbone,
    stepForm,
    engine,
    device,
    threads,
    resume,
    tokenFile,
    caFile,
    backboneCard: cardFile,
    forecast: _,
    ...rest
  } = checkFlags(trainFlags, options);
  return withoutGaps({
    dataset,
    backbone,
    stepForm,
    engine,
    device,
    threads,
    resume,
    noTest: test ? undefined : true,
    server: tokenFile || caFile || cardFile ? withoutGaps({ tokenFile, caFile, cardFile }) : undefined,
    settings: withoutGaps({ ...rest, learningRate: lr, headLearningRate: headLr }),
  });
}

const forecastOnly = (options: unknown): boolean => trainFlags.parse(options).forecast === true;

/** @throws Failure `usage` where the dataset, backbone or method is missing */
export function completeRequest({ dataset, backbone, settings, ...rest }: PartialTrainRequest): TrainRequest {
  const { method } = settings;
  if (dataset !== undefined && backbone !== undefined && method !== undefined)
    return { ...rest, dataset, backbone, settings: { ...settings, method } };
  const missing = Object.entries({ '--dataset': dataset, '--backbone': backbone, '--method': method })
    .filter(([, value]) => value === undefined)
    .map(([flag]) => flag);
  throw new Failure('usage', `train needs ${missing.join(' and ')} (or --resume RUN alone, to go on with a run).`);
}

function withoutGaps<T extends object>(record: T): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;
}

/** The command that goes on with a run, to be copied into a shell. */
export function resumeCommand(run: string, workspace: string | undefined): string {
  const where = workspace === undefined ? [] : ['--workspace', shellWord(workspace)];
  return ['sidetune', 'train', '--resume', shellWord(run), ...where].join(' ');
}

export function shellWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return process.platform === 'win32' ? `"${text}"` : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The block that is best on val, by a run for each. */
async function chooseUpto(workspace: Workspace, request: TrainRequest, session: Session): Promise<number> {
  const choosing = await import('../../studio/edge/choose-upto.ts');
  const { upto, tried } = await choosing.chooseUpto(workspace, request, {
    ...session.task(),
    onEpoch: (metrics, epochs) => session.progress.epoch(metrics, epochs),
  });
  const scores = tried.map((each) => `${each.upto}: ${percent(each.val)}`).join(', ');
  session.remark(`Val top-1 by --upto: ${scores}. Training with ${upto}.`);
  return upto;
}

export function addTrainCommand(program: Command, session: Session): void {
  addTrainFlags(program.command('train').description('train a side network or a linear probe, and evaluate it')).action(
    async (flags: Record<string, unknown>) => {
      const choosesUpto = flags.upto === 'auto';
      const options = choosesUpto ? { ...flags, upto: undefined } : flags;
      const given = readTrainFlags(options);
      if (choosesUpto && given.resume !== undefined)
        throw new Failure('usage', '--upto auto begins new runs: leave out --resume, which goes on with one.');
      const { dataset, backbone, settings, resume } = given;
      const told = dataset !== undefined && backbone !== undefined && settings.method !== undefined;
      // A run of which the id was given knows the rest, and so does the newest of which not everything was said.
      const request = typeof resume === 'string' || (resume && !told) ? undefined : completeRequest(given);
      const { train } = await import('../../studio/train.ts');
      const { requestToResume } = await import('../../studio/resume.ts');
      const workspace = await session.workspace();
      let whole = request ?? (await requestToResume(workspace, given));
      if (choosesUpto && !forecastOnly(options)) {
        const upto = await chooseUpto(workspace, whole, session);
        whole = { ...whole, settings: { ...whole.settings, upto } };
      }
      if (forecastOnly(options)) {
        const { forecastTraining } = await import('../../studio/forecast.ts');
        const forecast = await forecastTraining(workspace, whole, session.task());
        session.answer(forecast, describeForecast(forecast).join('\n'));
        return;
      }
      let goOn = '';
      const result = await train(workspace, whole, {
        ...session.task(),
        onForecast: (forecast) => {
          for (const line of describeForecast(forecast)) session.remark(line);
        },
        onStart: (run, before) => {
          session.progress.goesOn(before);
          goOn = `go on with: ${resumeCommand(run, session.globals().workspace)}`;
          session.whenInterrupted = `Interrupted; ${goOn}`;
        },
        onEpoch: (metrics, epochs) => {
          session.whenInterrupted = `Interrupted after epoch ${metrics.epoch} of ${epochs}; ${goOn}`;
          session.progress.epoch(metrics, epochs);
        },
      });
      session.answer(result, describeResult(result));
    },
  );
}

function addTrainFlags(command: Command): Command {
  return addRunFlags(command)
    .option('--threads <n>', 'default: all cores')
    .option('--forecast', 'only say what disk, memory and time it will take')
    .option('--resume [run]', 'go on with a run, or with the newest unfinished one of what else is said');
}

/** Flags that say what is trained, on what and how, with their help; numbers are checked when they are read. */
export function addRunFlags(command: Command): Command {
  const choice = (flags: string, description: string, choices: readonly string[]) =>
    new Option(flags, description).choices(choices);
  return command
    .option('--dataset <name>', 'a dataset of the workspace, or the path of a folder')
    .option(
      '--backbone <name>',
      'a backbone of the workspace, the path of an ONNX file, or http://HOST:PORT/v2/models/NAME',
    )
    .addOption(choice('--method <method>', 'what to train', METHODS))
    .option('--rank <n>', 'last, miet: rank of each attention module (default: 8, miet 16)')
    .option('--depth <n>', 'last, miet: modules in a chain (default: 1, miet 4)')
    .option('--group <n>', 'last: blocks of the ViT to a rung (default: 1)')
    .option('--upto <n>', 'miet: last block of the sum, or auto: the best on val (default: two thirds of the blocks)')
    .addOption(
      choice('--pool <pool>', 'what the head sees (default: cls where there is one, miet mean)', ['cls', 'mean']),
    )
    .addOption(
      choice('--warm-start <from>', 'last: start the head from a linear probe (default: none)', ['none', 'linear']),
    )
    .option('--lr <rate>', 'learning rate (default: 1e-3, miet 3e-3)')
    .option('--head-lr <rate>', "the head's (default: --lr, a tenth of it after a warm start)")
    .option('--weight-decay <x>', 'of matrices (default: 0.05)')
    .option('--drop-path <p>', 'last, miet: share of modules left out in training (default: 0)')
    .option('--label-smoothing <x>', 'default: 0')
    .addOption(choice('--class-weights <kind>', 'default: none', ['none', 'balanced']))
    .option('--epochs <n>', 'default: 30, linear 100')
    .option('--batch <n>', 'images in a step (default: 32)')
    .option('--seed <n>', 'default: 1')
    .option('--views <n>', 'looks at each training image, one an epoch: as it is, mirrored, then crops (default: 1)')
    .option('--limit <n>', 'train on so many images only, stratified')
    .addOption(
      choice('--cache <format>', 'how features are kept; none: the ViT runs in every epoch (default: fp16)', [
        'fp16',
        'int8',
        'none',
      ]),
    )
    .addOption(choice('--step-form <form>', 'how a step is computed', ['plain', 'low-rank']))
    .option('--token-file <file>', 'a served backbone: the word that its server wants (or in SIDETUNE_EDGE_TOKEN)')
    .option('--ca-file <file>', 'a served backbone: the certificate to check its server by, PEM')
    .option('--backbone-card <file>', 'a served backbone: what ViT it is, where the server does not tell')
    .option('--no-test', 'leave the test split unread')
    .addOption(choice('--engine <engine>', 'default: compiled', ['compiled', 'eager']))
    .addOption(choice('--device <device>', 'default: cpu', ['cpu']));
}
