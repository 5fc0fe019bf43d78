/** One report of a long task: `done` of `total` units; the receiver derives rate and time left. */
export interface Progress {
  task: string;
  done: number;
  total: number;
  unit: string;
}

/** What every long task takes: where to report, and when to stop. */
export interface TaskOptions {
  onProgress?: (progress: Progress) => void;
  /** A sentence for the user about what was done unasked. */
  onRemark?: (sentence: string) => void;
  signal?: AbortSignal;
}
