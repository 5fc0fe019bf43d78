/**
 * Figures that others have published, to stand beside our own and never among them. All are of ViT-B/16 pretrained on
 * ImageNet-21k, trained on the 1,000 images of each of VTAB-1K's 19 tasks, in percent. Tasks are as the README of V-PETL
 * Bench gives them (NeurIPS 2024 Datasets and Benchmarks); the means were computed from its rows.
 */
import type { Group } from './tasks.ts';

export interface PublishedRow extends Partial<Record<Group, number>> {
  method: string;
  /** Index into `SOURCES`. */
  source: keyof typeof SOURCES;
  /** Percent, by the folder of the task. */
  tasks?: Readonly<Record<string, number>>;
  groupMean: number;
  taskMean?: number;
  /** Millions, without the head. */
  parameters?: number;
  /** Of graphics memory in training at batch 32, in GB. */
  memory?: number;
}

/** Where a row comes from, and how sure that is. */
export const SOURCES = {
  a: 'V-PETL Bench, stated by task; means computed; memory read off a figure of DTL, within 0.1 GB',
  b: "V-PETL Bench, stated by task, and very likely the paper's own table; means computed; memory from a digest of the paper",
  c: 'the result index wizwand.com, stated; that it is the mean of groups, and of ViT-B/16, is inferred',
} as const;

export const PUBLISHED: readonly PublishedRow[] = [
  {
    method: 'Linear',
    source: 'a',
    parameters: 0,
    natural: 68.9,
    specialized: 77.2,
    structured: 26.9,
    groupMean: 57.6,
    taskMean: 52.9,
  },
  {
    method: 'Full fine-tuning',
    source: 'a',
    parameters: 85.8,
    natural: 75.9,
    specialized: 83.4,
    structured: 47.6,
    groupMean: 69.0,
    taskMean: 65.6,
    memory: 4.7,
  },
  {
    method: 'LoRA',
    source: 'a',
    parameters: 0.29,
    natural: 79.5,
    specialized: 84.6,
    structured: 59.8,
    groupMean: 74.6,
    taskMean: 72.3,
    memory: 3.0,
  },
  {
    method: 'LST',
    source: 'a',
    parameters: 2.38,
    natural: 77.6,
    specialized: 85.6,
    structured: 59.6,
    groupMean: 74.3,
    taskMean: 71.7,
    memory: 2.7,
  },
  {
    method: 'DTL',
    source: 'a',
    parameters: 0.04,
    natural: 80.8,
    specialized: 86.1,
    structured: 63.4,
    groupMean: 76.7,
    taskMean: 74.6,
    memory: 1.6,
  },
  {
    method: 'LAST',
    source: 'b',
    parameters: 0.66,
    natural: 80.9,
    specialized: 86.2,
    structured: 62.3,
    groupMean: 76.4,
    taskMean: 74.15,
    memory: 1.33,
    tasks: {
      cifar: 66.7,
      caltech101: 93.4,
      dtd: 76.1,
      oxford_flowers102: 99.6,
      oxford_iiit_pet: 89.8,
      svhn: 86.1,
      sun397: 54.3,
      patch_camelyon: 86.2,
      eurosat: 96.3,
      resisc45: 86.8,
      diabetic_retinopathy: 75.4,
      clevr_count: 81.9,
      clevr_dist: 65.9,
      dmlab: 49.4,
      kitti: 82.6,
      dsprites_loc: 87.9,
      dsprites_ori: 46.7,
      smallnorb_azi: 32.3,
      smallnorb_ele: 51.5,
    },
  },
  { method: 'MIET (MIST)', source: 'c', groupMean: 76.7 },
];
