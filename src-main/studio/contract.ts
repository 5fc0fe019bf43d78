/** The words in which a user's wishes and the answers are put: what the window, the browser and the command share. */
export type { AddBackboneOptions, Backbone, BackboneDescription, DamagedBackbone } from '../backbone/catalogue.ts';
export type { PreprocessingChoice } from '../backbone/preprocessing.ts';
export { splitNames } from '../data/dataset.ts';
export type { Dataset, DatasetFormat, DatasetSummary, SplitName } from '../data/dataset.ts';
export type { EpochMetrics, RunConfig, RunResult } from '../training/run-folder.ts';
export { METHODS } from '../training/settings.ts';
export type { Method, Settings, SettingsChoice } from '../training/settings.ts';
export { Workspace, workspaceFolder } from '../workspace/workspace.ts';
export type { DescribedBackbone, InspectedBackbone } from './backbones.ts';
export { editInWords } from './dataset-edits.ts';
export type { EditedDataset, EditWish, ListedEdit } from './dataset-edits.ts';
export type { AddedDataset, ShownDataset } from './datasets.ts';
export type { Evaluation } from './analysis/evaluation.ts';
export type { Prediction, Predictions } from './predict.ts';
export type { PartialTrainRequest } from './resume.ts';
export type { TrainRequest } from './train-request.ts';
