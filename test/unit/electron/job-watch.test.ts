import { expect, it } from 'vitest';
import { Crashes } from '../../../src-main/electron/crashes.ts';
import { JobWatch } from '../../../src-main/electron/job-watch.ts';
import type { Job } from '../../../src-main/studio/service/events.ts';

const job: Job = {
  id: 'a',
  kind: 'train',
  subject: 'signs',
  state: 'running',
  progress: { task: 'train', done: 30, total: 120, unit: 'images' },
  run: 'signs-last-1',
  error: null,
  result: null,
  queued: '2026-01-01T10:00:00.000Z',
  started: '2026-01-01T10:00:00.000Z',
  ended: null,
};
const over = (changed: Partial<Job>): Job => ({
  ...job,
  state: 'done',
  progress: null,
  ended: '2026-01-01T10:05:00.000Z',
  ...changed,
});

/** What is told of a job that ran, and then was as given. */
function noticeOf(ended: Job) {
  const watch = new JobWatch();
  watch.see({ type: 'job', job });
  return watch.see({ type: 'job', job: ended });
}

it('tells of a long job that is done or has failed, and of no other', () => {
  expect(noticeOf(over({}))).toEqual({ title: 'A training run is done', body: 'signs: signs-last-1' });
  const error = { code: 'diverged', message: 'The loss is not a number.' };
  expect(noticeOf(over({ state: 'failed', error }))).toEqual({
    title: 'A training run has failed',
    body: 'The loss is not a number.',
  });
  expect(noticeOf(over({ ended: '2026-01-01T10:00:30.000Z' }))).toBeUndefined();
  for (const state of ['stopped', 'paused', 'interrupted'] as const) expect(noticeOf(over({ state }))).toBeUndefined();
});

it('tells once, and nothing of a job that had ended before', () => {
  const watch = new JobWatch();
  expect(watch.see({ type: 'job', job: over({}) })).toBeUndefined();
  watch.see({ type: 'job', job });
  expect(watch.see({ type: 'job', job: over({}) })).toBeDefined();
  expect(watch.see({ type: 'job', job: over({}) })).toBeUndefined();
});

it('counts what runs or waits, and shows the share of what runs', () => {
  const watch = new JobWatch();
  expect([watch.count, watch.share]).toEqual([0, -1]);
  watch.see({ type: 'job', job: { ...job, id: 'b', state: 'waiting', progress: null } });
  expect([watch.count, watch.share]).toEqual([1, -1]);
  watch.see({ type: 'job', job });
  expect([watch.count, watch.share]).toEqual([2, 0.25]);
  watch.see({ type: 'job', job: over({}) });
  watch.see({ type: 'job-gone', id: 'b' });
  expect([watch.count, watch.share]).toEqual([0, -1]);
});

it('opens a window that crashed again, but not for ever', () => {
  const crashes = new Crashes();
  expect([0, 1000, 2000, 3000].map((now) => crashes.reopens(now))).toEqual([true, true, true, false]);
  expect(crashes.reopens(100_000)).toBe(true);
});
