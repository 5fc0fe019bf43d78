/**
 * The one contract between the studio and whatever shows it: every call's name, the schema of its request, and the type
 * of its reply. Both transports (the desktop's and the browser's) carry all of them, and nothing else.
 */
import { z } from 'zod';
import { PRUNERS } from '../../sweep/pruner.ts';
import { MOST_LANES } from '../../sweep/sweep-config.ts';
import { spaceFileSchema, type SpaceFile } from '../../sweep/read-space.ts';
import { SAMPLERS } from '../../sweep/sampler.ts';
import { METHODS, settingsChoiceSchema, type CheckedChoice } from '../../training/settings.ts';
import { datasetFormatSchema, splitNames, type DatasetSummary } from '../../data/dataset.ts';
import { editWishSchema } from '../../data/edits/edit.ts';
import type { DamagedBackbone } from '../../backbone/catalogue.ts';
import { preprocessingChoiceSchema } from '../../backbone/preprocessing.ts';
import type { DescribedBackbone } from '../backbones.ts';
import type { PredictedPage } from '../analysis/predicted-images.ts';
import type { PictureAttention, ShownEvaluation } from '../analysis/run-analysis.ts';
import type { EditedDataset, ListedEdit } from '../datasets/dataset-edits.ts';
import type { DatasetView, ImageDetails } from '../datasets/dataset-view.ts';
import type { ConnectedBackbone, OfferedBackbone } from '../edge/connect.ts';
import type { EdgeCosts } from '../edge/costs.ts';
import type { FetchedFeatures, ShownAdaptor } from '../edge/device.ts';
import type { ShownServer, StartedServer } from '../edge/window-server.ts';
import { tradeoffRequestSchema, type KeptTradeoff } from '../edge/kept-tradeoffs.ts';
import type { Diagnosis, Machine } from '../doctor.ts';
import type { CachedFeatures, ClearedFeatures } from '../features.ts';
import type { Forecast } from '../forecast.ts';
import type { ListedExport } from '../export.ts';
import type { ImagePage } from '../datasets/image-pages.ts';
import type { BugReport } from '../logs.ts';
import { preferencesChangeSchema, type Preferences } from '../preferences.ts';
import type { LogEntry } from '../run-log.ts';
import type { Comparison, DamagedRun, ListedRun, ShownRun } from '../runs.ts';
import type { FolderListing } from '../folders.ts';
import type { TriedPicture } from '../try-out.ts';
import type { ListedSweep, ShownSweep } from '../sweeps/sweeps.ts';
import type { Job } from './events.ts';

interface Call<Request extends z.ZodType, Reply> {
  request: Request;
  /** Carries the reply's type; there is no value in it. */
  reply?: Reply;
}

function call<Request extends z.ZodType>(request: Request) {
  return { gives: <Reply>(): Call<Request, Reply> => ({ request }) };
}

const nothing = z.object({});
const named = z.object({ name: z.string().min(1) });
const ofRun = z.object({ run: z.string().min(1) });
const ofJob = z.object({ id: z.string().min(1) });

/** The largest picture that is sent. */
export const MOST_PICTURE_BYTES = 64 << 20;

/** Bytes travel beside the rest of a request, never within JSON. */
const pictureBytes = z.instanceof(Uint8Array).refine(({ length }) => length <= MOST_PICTURE_BYTES, {
  error: 'a picture larger than 64 MB',
});

const imageFilter = named.extend({
  split: z.enum(splitNames).optional(),
  /** Index of a class. */
  label: z.int().min(0).optional(),
  /** Part of the path, whatever the case. */
  search: z.string().optional(),
  /** A kind of problem. */
  problem: z.string().optional(),
  /** Only excluded ones; else only the others. */
  excluded: z.boolean().optional(),
});

/** With the line of an edit only that one is taken back, or done again: another window may have edited since. */
const stepOfEdits = named.extend({ line: z.int().min(0).optional() });

/** What `train.start` takes: names in the workspace, and settings, those left out being the defaults. */
export const trainStartSchema = z.object({
  dataset: z.string().min(1),
  backbone: z.string().min(1),
  settings: settingsChoiceSchema,
  noTest: z.boolean().optional(),
  threads: z.int().min(1).optional(),
});

/** What `sweeps.start` takes: names in the workspace, and a space of settings. */
export const sweepStartSchema = z.object({
  dataset: z.string().min(1),
  backbone: z.string().min(1),
  /** By setting: a value, a list of values, or a range. */
  space: spaceFileSchema,
  settings: settingsChoiceSchema.partial().optional(),
  sampler: z.enum(SAMPLERS).optional(),
  pruner: z.enum(PRUNERS).optional(),
  trials: z.int().min(1).optional(),
  parallel: z.int().min(1).optional(),
  /** Trials that a process trains together, at most; as many as pay when left out. */
  lanes: z.union([z.literal('auto'), z.int().min(1).max(MOST_LANES)]).optional(),
  /** Of each trial; as many as the number of trials leaves to each when left out. */
  threads: z.union([z.literal('auto'), z.int().min(1)]).optional(),
  /** Bytes for all trials that run together. */
  memory: z.number().positive().optional(),
  deterministic: z.boolean().optional(),
  retrain: z.boolean().optional(),
  noTest: z.boolean().optional(),
});

const ofSweep = z.object({ sweep: z.string().min(1) });
const moreOfSweep = { trials: z.int().min(1).optional(), parallel: z.int().min(1).optional() };

export const sweepToMlflowSchema = ofSweep.extend({
  uri: z.string().min(1).max(2000),
  experiment: z.string().min(1).optional(),
});

export const retrainSchema = ofSweep.extend({ trial: z.int().min(0).optional() });

const ofServer = z.object({
  url: z.string().min(1),
  token: z.string().min(1).optional(),
  /** Paths of files: the token instead, the certificate to check the server's by, and what ViT it has. */
  tokenFile: z.string().min(1).optional(),
  caFile: z.string().min(1).optional(),
  cardFile: z.string().min(1).optional(),
});

/** What a form knows of the backbone that is chosen in it. */
const backboneFacts = z.object({ name: z.string(), blocks: z.int(), width: z.int(), prefix: z.int() });

export const calls = {
  'machine.show': call(nothing).gives<Machine>(),
  'machine.diagnose': call(nothing).gives<Diagnosis>(),
  'preferences.show': call(nothing).gives<Preferences>(),
  'preferences.change': call(preferencesChangeSchema).gives<Preferences>(),
  'logs.report': call(z.object({ paths: z.boolean() })).gives<BugReport>(),
  'features.list': call(nothing).gives<{ features: CachedFeatures[]; bytes: number }>(),
  'features.clear': call(
    z.object({ all: z.boolean().optional(), unused: z.boolean().optional(), keys: z.array(z.string()).optional() }),
  ).gives<ClearedFeatures>(),
  'folders.list': call(z.object({ path: z.string().optional() })).gives<FolderListing>(),

  'datasets.list': call(nothing).gives<DatasetSummary[]>(),
  'datasets.add': call(
    z.object({
      path: z.string().min(1),
      name: z.string().min(1).optional(),
      format: datasetFormatSchema.optional(),
      /** Whether the images are copied into the workspace. */
      copy: z.boolean().optional(),
    }),
  ).gives<Job>(),
  /** Draws the sample set, where that has not been done, and adds it. */
  'datasets.sample': call(nothing).gives<Job>(),
  /** Imports a dataset's folder again, for what has changed in it. */
  'datasets.refresh': call(named).gives<Job>(),
  'datasets.show': call(named).gives<DatasetView>(),
  'datasets.images': call(
    imageFilter.extend({
      offset: z.int().min(0).default(0),
      limit: z.int().min(1).max(1000).default(200),
    }),
  ).gives<ImagePage>(),
  /** The places of all images that fit. */
  'datasets.select': call(imageFilter).gives<number[]>(),
  'datasets.image': call(named.extend({ index: z.int().min(0) })).gives<ImageDetails>(),
  /** With the stamp of the dataset that was looked at, images are the ones that were meant, or it is refused. */
  'datasets.edit': call(named.extend({ edit: editWishSchema, stamp: z.string().optional() })).gives<EditedDataset>(),
  /** Adds a picture of the window's to train on, as an edit: the dataset's own files are left alone. */
  'datasets.addPicture': call(
    named.extend({ picture: z.string().min(1), class: z.string().min(1), bytes: pictureBytes }),
  ).gives<EditedDataset>(),
  'datasets.undo': call(stepOfEdits).gives<EditedDataset>(),
  'datasets.redo': call(stepOfEdits).gives<EditedDataset>(),
  'datasets.edits': call(named).gives<ListedEdit[]>(),
  'datasets.remove': call(named).gives<null>(),

  'backbones.list': call(nothing).gives<{ backbones: DescribedBackbone[]; damaged: DamagedBackbone[] }>(),
  /** What a file would be as a backbone; nothing is added. */
  'backbones.inspect': call(z.object({ file: z.string().min(1) })).gives<DescribedBackbone>(),
  /** With `force` also where runs need it. */
  'backbones.remove': call(named.extend({ force: z.boolean().optional() })).gives<null>(),
  'backbones.add': call(
    z.object({
      file: z.string().min(1),
      name: z.string().optional(),
      preprocessing: preprocessingChoiceSchema.optional(),
    }),
  ).gives<Job>(),

  /** Removes a model that was sent and is not wanted after all, by the path that was answered; any other file stays. */
  'uploads.remove': call(z.object({ file: z.string().min(1) })).gives<null>(),

  'runs.list': call(nothing).gives<(ListedRun | DamagedRun)[]>(),
  'runs.show': call(ofRun).gives<ShownRun>(),
  'runs.compare': call(z.object({ runs: z.array(z.string()).min(2) })).gives<Comparison>(),
  /** Classifies one picture at once; the run is kept ready for the next one. */
  'runs.predict': call(ofRun.extend({ name: z.string().min(1), bytes: pictureBytes })).gives<TriedPicture>(),
  'runs.log': call(ofRun).gives<LogEntry[]>(),
  /** Keeps a line of the user's own; the empty one takes it away. */
  'runs.note': call(ofRun.extend({ note: z.string().max(500) })).gives<null>(),
  /** Puts runs into the trash. */
  'runs.remove': call(z.object({ runs: z.array(z.string().min(1)).min(1) })).gives<{ removed: string[] }>(),
  /** Takes them out again. */
  'runs.restore': call(z.object({ runs: z.array(z.string().min(1)).min(1) })).gives<{ restored: string[] }>(),
  /** What an evaluation has found and is kept; of test, else val, where no split is named. */
  'runs.evaluation': call(ofRun.extend({ split: z.enum(splitNames).optional() })).gives<ShownEvaluation | null>(),
  'runs.predicted': call(
    ofRun.extend({
      split: z.enum(splitNames),
      label: z.int().min(0).optional(),
      predicted: z.int().min(0).optional(),
      mistakes: z.boolean().optional(),
      offset: z.int().min(0).default(0),
      limit: z.int().min(1).max(1000).default(60),
    }),
  ).gives<PredictedPage>(),
  /** `image` is its place in the run's dataset. */
  'runs.attention': call(ofRun.extend({ image: z.int().min(0) })).gives<PictureAttention>(),
  'runs.exports': call(ofRun).gives<ListedExport[]>(),
  'runs.evaluate': call(ofRun.extend({ split: z.enum(splitNames).optional() })).gives<Job>(),
  'runs.export': call(
    ofRun.extend({
      /** Folder that is made where it does not exist; `exports/RUN` of the workspace when left out. */
      out: z.string().min(1).optional(),
      form: z.enum(['adaptor', 'merged']).optional(),
      /** Keeps matrices as float16. */
      half: z.boolean().optional(),
      /** Whether it may take the place of another run's export. */
      force: z.boolean().optional(),
    }),
  ).gives<Job>(),

  /** Settings as they are typed: what is wrong with each, and what the others come to. */
  'train.check': call(
    z.object({ backbone: backboneFacts, settings: z.looseObject({ method: z.enum(METHODS) }) }),
  ).gives<CheckedChoice>(),
  'train.forecast': call(trainStartSchema).gives<Forecast>(),
  'train.start': call(trainStartSchema).gives<Job>(),
  'train.resume': call(ofRun).gives<Job>(),

  'sweeps.list': call(nothing).gives<ListedSweep[]>(),
  'sweeps.show': call(ofSweep).gives<ShownSweep>(),
  /** A space worth searching for these methods. */
  'sweeps.suggest': call(z.object({ methods: z.array(z.enum(METHODS)).min(1) })).gives<SpaceFile>(),
  'sweeps.start': call(sweepStartSchema).gives<Job>(),
  /** Goes on with one, with more trials where they are asked for. */
  'sweeps.resume': call(ofSweep.extend(moreOfSweep)).gives<Job>(),
  /** Asks something of one that runs, in whichever process. */
  'sweeps.change': call(
    ofSweep.extend({
      ...moreOfSweep,
      stopTrial: z.int().min(0).optional(),
      /** Whole trials to go on with, by number or so many of the best, for so many epochs more. */
      extend: z
        .object({
          trials: z.union([z.array(z.int().min(0)).min(1), z.object({ best: z.int().min(1) })]),
          epochs: z.int().min(1),
        })
        .optional(),
      /** Stops it, to be resumed later. */
      stop: z.literal(true).optional(),
    }),
  ).gives<null>(),
  /** Keeps a trial as an ordinary run. */
  'sweeps.promote': call(ofSweep.extend({ trial: z.int().min(0) })).gives<{ run: string }>(),
  /** Trains the settings of the best trial, or of one, on train and val together, as a run that test is read for. */
  'sweeps.retrain': call(retrainSchema).gives<Job>(),
  /** Writes a sweep to an MLflow server, or what is missing there; the address is remembered. */
  'sweeps.mlflow': call(sweepToMlflowSchema).gives<Job>(),
  'sweeps.remove': call(ofSweep).gives<null>(),

  /** The server that the window has started. */
  'edge.server': call(nothing).gives<ShownServer | null>(),
  'edge.serve': call(
    z.object({
      backbones: z.array(z.string().min(1)).min(1),
      /** Whether other machines may use it, for which they need a token. */
      network: z.boolean(),
      token: z.boolean(),
      /** 0 picks one. */
      port: z.int().min(0).max(65_535),
      upto: z.array(z.int().min(1)).min(1).optional(),
      grpcPort: z.int().min(0).max(65_535).optional(),
      /** Holds the token, instead of one that is made. */
      tokenFile: z.string().min(1).optional(),
      tls: z.object({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
    }),
  ).gives<StartedServer>(),
  /** Answered once what the server has accepted is. */
  'edge.stop': call(nothing).gives<null>(),
  /** What a server offers, ours or another of the protocol. */
  'edge.look': call(ofServer).gives<OfferedBackbone[]>(),
  /** Takes a served model in as a backbone. */
  'edge.connect': call(ofServer).gives<{ name: string }>(),
  'edge.connected': call(nothing).gives<ConnectedBackbone[]>(),
  /** An adaptor to decide with: a run's, or an exported file. */
  'edge.adaptor': call(
    z.union([z.object({ run: z.string().min(1) }), z.object({ file: z.string().min(1) })]),
  ).gives<ShownAdaptor>(),
  /** What a server makes of a picture for an adaptor; it is kept ready for the next one. */
  'edge.features': call(
    z.object({
      adaptor: z.string().min(1),
      server: z.string().min(1),
      name: z.string().min(1),
      bytes: pictureBytes,
    }),
  ).gives<FetchedFeatures>(),
  /** What the processor has used since some moment, for whomever: two answers' difference is what counts. */
  'edge.joules': call(nothing).gives<number | null>(),
  'edge.costs': call(z.object({ backbone: z.string().min(1), dataset: z.string().min(1) })).gives<EdgeCosts>(),
  'edge.tradeoffs': call(nothing).gives<KeptTradeoff[]>(),
  'edge.tradeoff': call(tradeoffRequestSchema).gives<Job>(),
  'edge.removeTradeoff': call(ofJob).gives<null>(),

  'jobs.list': call(nothing).gives<Job[]>(),
  'jobs.pause': call(ofJob).gives<null>(),
  'jobs.resume': call(ofJob).gives<Job>(),
  'jobs.stop': call(ofJob).gives<null>(),
  'jobs.dismiss': call(ofJob).gives<null>(),
} satisfies Record<string, Call<z.ZodType, unknown>>;

export type CallName = keyof typeof calls;
/** What is sent; defaults may be left out. */
export type RequestOf<Name extends CallName> = z.input<(typeof calls)[Name]['request']>;
/** What a handler gets: checked, defaults filled in. */
export type CheckedRequestOf<Name extends CallName> = z.output<(typeof calls)[Name]['request']>;
export type ReplyOf<Name extends CallName> = Exclude<(typeof calls)[Name]['reply'], undefined>;

export const callNames = Object.keys(calls) as CallName[];
