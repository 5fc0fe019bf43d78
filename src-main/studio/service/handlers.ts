import { addPicture } from '../datasets/add-picture.ts';
import * as backbones from '../backbones.ts';
import { editDataset, listEdits, stepEdits } from '../datasets/dataset-edits.ts';
import { checkStamp, imageDetails, viewDataset } from '../datasets/dataset-view.ts';
import * as datasets from '../datasets/datasets.ts';
import { connectBackbone, listConnected, lookAtServer } from '../edge/connect.ts';
import { edgeCosts } from '../edge/costs.ts';
import type { EdgeDevice } from '../edge/device.ts';
import type { EdgeServing } from '../edge/window-server.ts';
import { listTradeoffs, removeTradeoff } from '../edge/kept-tradeoffs.ts';
import { describeMachine, diagnose } from '../doctor.ts';
import { clearFeatures, listFeatures } from '../features.ts';
import { forecastTraining } from '../forecast.ts';
import { listExports } from '../export.ts';
import { listFolder } from '../folders.ts';
import { imagePage, placesThatFit } from '../datasets/image-pages.ts';
import type { LoadedDatasets } from '../datasets/loaded-datasets.ts';
import { bugReport } from '../logs.ts';
import { mlflowAddress } from '../mlflow/client.ts';
import { changePreferences, placeVit, readPreferences } from '../preferences.ts';
import type { RunAnalysis } from '../analysis/run-analysis.ts';
import { readRunLog } from '../run-log.ts';
import { writeNote } from '../run-note.ts';
import { restoreRuns, trashRuns } from '../run-trash.ts';
import * as runs from '../runs.ts';
import type { TryOut } from '../try-out.ts';
import { checkChoice } from '../../training/settings.ts';
import { findSweep } from '../../sweep/find-sweep.ts';
import { SweepReader } from '../../sweep/sweep-reader.ts';
import { suggestSpace } from '../../sweep/suggest-space.ts';
import { promoteNamed } from '../sweeps/sweep-winner.ts';
import * as sweeps from '../sweeps/sweeps.ts';
import { removeUpload, uploadOf } from '../datasets/uploads.ts';
import type { SessionPlace } from '../../engine/session-place.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import type { CallName, CheckedRequestOf, ReplyOf } from './calls.ts';
import type { StudioEvent } from './events.ts';
import type { Jobs } from './jobs.ts';

export type Handlers = {
  [Name in CallName]: (request: CheckedRequestOf<Name>) => Promise<ReplyOf<Name>>;
};

/** What answers each call: a short one at once, a long one by a job that it queues. */
export function handlersOf(
  workspace: Workspace,
  jobs: Jobs,
  loaded: LoadedDatasets,
  tryOut: TryOut,
  analysis: RunAnalysis,
  edge: { serving: EdgeServing; device: EdgeDevice },
  tell: (event: StudioEvent) => void,
  vitPlace: SessionPlace,
): Handlers {
  const changed = (what: 'datasets' | 'backbones' | 'runs' | 'sweeps') => tell({ type: 'changed', what });
  const sweepReader = new SweepReader(workspace);
  const edited = <Edited>(answer: Edited): Edited => {
    changed('datasets');
    return answer;
  };
  return {
    'machine.show': () => describeMachine(workspace),
    'machine.diagnose': () => diagnose(workspace),
    'preferences.show': () => readPreferences(workspace),
    'preferences.change': async (preferences) => {
      const changed = await changePreferences(workspace, preferences);
      await placeVit(workspace, vitPlace);
      return changed;
    },
    'logs.report': (request) => bugReport(workspace, request),
    'features.list': () => listFeatures(workspace),
    'features.clear': (request) => clearFeatures(workspace, request),
    'folders.list': ({ path }) => listFolder(path),

    'datasets.list': () => datasets.listDatasets(workspace),
    'datasets.add': async (request) => jobs.add('import', request.path, request),
    'datasets.sample': async () => jobs.add('sample', 'orientation', {}),
    'datasets.refresh': async ({ name }) => {
      const { source: path, format } = datasets.shownOf(await loaded.get(name));
      return jobs.add('import', name, { path, name, format });
    },
    'datasets.show': async ({ name }) => viewDataset(workspace, await loaded.get(name)),
    'datasets.images': async ({ name, ...query }) => imagePage(await loaded.get(name), query),
    'datasets.select': async ({ name, ...filter }) => placesThatFit(await loaded.get(name), filter),
    'datasets.image': async ({ name, index }) => imageDetails(await loaded.get(name), index),
    'datasets.edit': async ({ name, edit, stamp }) => {
      if (stamp !== undefined) await checkStamp(workspace, name, stamp);
      return edited(await editDataset(workspace, name, edit));
    },
    'datasets.addPicture': async ({ name, picture, class: label, bytes }) =>
      edited(await addPicture(workspace, name, { picture, label, bytes })),
    'datasets.undo': async ({ name, line }) => edited(await stepEdits(workspace, name, 'undo', line)),
    'datasets.redo': async ({ name, line }) => edited(await stepEdits(workspace, name, 'redo', line)),
    'datasets.edits': ({ name }) => listEdits(workspace, name),
    'datasets.remove': async ({ name }) => {
      await datasets.removeDataset(workspace, name);
      changed('datasets');
      return null;
    },

    'backbones.list': () => backbones.listBackbones(workspace),
    'backbones.inspect': ({ file }) => backbones.inspectBackbone(workspace, file),
    'backbones.remove': async ({ name, force }) => {
      await backbones.removeBackbone(workspace, name, { force });
      changed('backbones');
      return null;
    },
    'backbones.add': async (request) => jobs.add('backbone', request.file, request),

    'uploads.remove': async ({ file }) => {
      const upload = uploadOf(workspace, file);
      if (upload !== undefined) await removeUpload(workspace, upload);
      return null;
    },

    'runs.list': async () => (await runs.listRuns(workspace)).runs,
    'runs.show': ({ run }) => runs.showRun(workspace, run),
    'runs.compare': (request) => runs.compareRuns(workspace, request.runs),
    'runs.predict': ({ run, name, bytes }) => tryOut.classify(run, { name, bytes }),
    'runs.log': ({ run }) => readRunLog(workspace, run),
    'runs.note': async ({ run, note }) => {
      await writeNote(workspace, run, note);
      changed('runs');
      return null;
    },
    'runs.remove': async (request) => {
      const answer = await trashRuns(workspace, request.runs);
      changed('runs');
      return answer;
    },
    'runs.restore': async (request) => {
      const answer = await restoreRuns(workspace, request.runs);
      changed('runs');
      return answer;
    },
    'runs.evaluation': ({ run, split }) => analysis.evaluation(run, split),
    'runs.predicted': ({ run, ...query }) => analysis.predicted(run, query),
    'runs.attention': ({ run, image }) => analysis.attention(run, image),
    'runs.exports': ({ run }) => listExports(workspace, run),
    'runs.evaluate': async (request) => jobs.add('evaluate', request.run, request),
    'runs.export': async (request) => jobs.add('export', request.run, request),

    'train.check': async ({ backbone, settings }) => checkChoice(settings, backbone),
    'train.forecast': (request) => forecastTraining(workspace, request),
    'train.start': async (request) => jobs.add('train', request.dataset, request),
    'train.resume': async ({ run }) => jobs.add('train', run, { resume: run }, run),

    'sweeps.list': () => sweeps.listSweeps(workspace, sweepReader),
    'sweeps.show': ({ sweep }) => sweeps.showSweep(workspace, sweep, sweepReader),
    'sweeps.suggest': ({ methods }) => Promise.resolve(suggestSpace(methods)),
    'sweeps.start': async (request) => jobs.add('sweep', request.dataset, request),
    'sweeps.resume': async ({ sweep, ...more }) =>
      jobs.add('sweep', sweep, { more }, await findSweep(workspace, sweep)),
    'sweeps.change': async ({ sweep, ...asked }) => {
      await sweeps.askOfSweep(workspace, sweep, asked);
      return null;
    },
    'sweeps.promote': async ({ sweep, trial }) => {
      const { run } = await promoteNamed(workspace, sweep, trial);
      changed('runs');
      return { run };
    },
    'sweeps.retrain': async (request) => jobs.add('train', await findSweep(workspace, request.sweep), request),
    'sweeps.mlflow': async (request) => {
      const [sweep, uri] = [await findSweep(workspace, request.sweep), mlflowAddress(request.uri)];
      await changePreferences(workspace, { mlflow: uri });
      return jobs.add('mlflow', sweep, { ...request, sweep, uri }, sweep);
    },
    'sweeps.remove': async ({ sweep }) => {
      await sweeps.removeSweep(workspace, sweep);
      changed('sweeps');
      return null;
    },

    'edge.server': async () => edge.serving.shown(),
    'edge.serve': (request) => edge.serving.start(request),
    'edge.stop': async () => {
      await edge.serving.stop();
      return null;
    },
    'edge.look': (request) => lookAtServer(workspace, request),
    'edge.connect': async (request) => {
      const name = await connectBackbone(workspace, request);
      changed('backbones');
      return { name };
    },
    'edge.connected': () => listConnected(workspace),
    'edge.adaptor': (source) => edge.device.adaptor(source),
    'edge.features': (request) => edge.device.features(request),
    'edge.joules': () => edge.device.joules(),
    'edge.costs': async ({ backbone, dataset }) => edgeCosts(workspace, backbone, (await loaded.get(dataset)).images),
    'edge.tradeoffs': () => listTradeoffs(workspace),
    'edge.tradeoff': async (request) => jobs.add('tradeoff', request.dataset, request),
    'edge.removeTradeoff': async ({ id }) => {
      await removeTradeoff(workspace, id);
      tell({ type: 'tradeoffs' });
      return null;
    },

    'jobs.list': async () => jobs.list(),
    'jobs.pause': async ({ id }) => {
      jobs.pause(id);
      return null;
    },
    'jobs.resume': async ({ id }) => jobs.resume(id),
    'jobs.stop': async ({ id }) => {
      jobs.stop(id);
      return null;
    },
    'jobs.dismiss': async ({ id }) => {
      jobs.dismiss(id);
      tell({ type: 'job-gone', id });
      return null;
    },
  };
}
