import type { StepForm } from '../methods/network.ts';
import type { SettingsChoice } from '../training/settings.ts';
import type { ServedAccess } from './edge/served-backbones.ts';
import type { TrainOn } from '../training/split-images.ts';

export interface TrainRequest {
  /** Name in the workspace, or path. */
  dataset: string;
  /** Or the address of a served model. */
  backbone: string;
  /** How that is got at. */
  server?: ServedAccess;
  settings: SettingsChoice;
  /** Leaves the test split unread. */
  noTest?: boolean;
  /** The train split alone when left out. */
  trainOn?: TrainOn;
  /** Epochs after which the learning rate climbs anew. */
  restarts?: readonly number[];
  stepForm?: StepForm;
  engine?: 'compiled' | 'eager';
  device?: 'cpu';
  /** onnxruntime's threads; all cores when left out. */
  threads?: number;
  /** A run's id, or `true` for the newest unfinished one with the same settings. */
  resume?: true | string;
}
