import { beforeEach, describe, expect, it } from 'vitest';
import { ProgressPrinter } from '../../../src-main/cli/progress.ts';

let clock: number;
let written: string[];

beforeEach(() => {
  clock = 0;
  written = [];
});

function printer(stream: { isTTY?: boolean; columns?: number }): ProgressPrinter {
  return new ProgressPrinter({ ...stream, write: (text) => written.push(text) }, () => clock);
}

describe('progress into a file', () => {
  it('writes at most one line in 5 s, and one at the end', () => {
    const progress = printer({});
    for (let done = 1; done <= 100; done++) {
      clock += 200;
      progress.report({ task: 'extract', done, total: 100, unit: 'images' });
    }
    expect(written).toHaveLength(4);
    expect(written[0]).toBe('extract: 25/100 images, 5.2 images/s, 14 s left\n');
    expect(written.at(-1)).toMatch(/^extract: 100\/100 images, 5\.1 images\/s\n$/);
  });

  it('says a short task once', () => {
    const progress = printer({});
    for (let done = 1; done <= 3; done++) progress.report({ task: 'try', done, total: 3, unit: 'trials' });
    expect(written).toEqual(['try: 3/3 trials\n']);
  });

  it('shows epochs with loss, val top-1, and the pace of the training', () => {
    const progress = printer({});
    for (let epoch = 1; epoch <= 3; epoch++) {
      for (const done of [50, 100]) {
        clock += 3000;
        progress.report({ task: 'train', done: 100 * (epoch - 1) + done, total: 300, unit: 'images' });
      }
      progress.epoch({ epoch, loss: 1 / epoch, val: epoch === 1 ? null : { top1: 0.9 } }, 3);
    }
    progress.report({ task: 'compare', done: 8, total: 8, unit: 'images' });
    expect(written).toEqual([
      'train: 100/300 images, 17 images/s, 12 s left\n',
      'epoch 1/3: loss 1.0000, val top-1 -, 17 images/s, 6.0 s left\n',
      'epoch 3/3: loss 0.3333, val top-1 90.0 %, 17 images/s\n',
      'compare: 8/8 images\n',
    ]);
  });

  it('shows the best epoch beside one that is worse', () => {
    const progress = printer({});
    [0.25, 0.75, 0.5].forEach((top1, index) => {
      clock += 5000;
      progress.epoch({ epoch: index + 1, loss: 0.5, val: { top1 } }, 3);
    });
    expect(written.slice(1)).toEqual([
      'epoch 2/3: loss 0.5000, val top-1 75.0 %\n',
      'epoch 3/3: loss 0.5000, val top-1 50.0 % (best 75.0 %, epoch 2)\n',
    ]);
  });

  it('knows the best of the epochs that a run goes on from, and forgets it with the next run', () => {
    const progress = printer({ isTTY: true, columns: 200 });
    progress.goesOn([0.5, 0.9, 0.7].map((top1, index) => ({ epoch: index + 1, loss: 1, val: { top1 } })));
    progress.report({ task: 'train', done: 310, total: 400, unit: 'images' });
    progress.epoch({ epoch: 4, loss: 0.5, val: { top1: 0.8 } }, 4);
    expect(written.at(-2)).toContain('val top-1 80.0 % (best 90.0 %, epoch 2)');
    progress.epoch({ epoch: 1, loss: 0.5, val: { top1: 0.6 } }, 1);
    expect(written.at(-2)).not.toContain('best');
  });

  it('shows epochs of which nothing else is known', () => {
    const progress = printer({});
    progress.epoch({ epoch: 2, loss: 0.5, val: { top1: 0.25 } }, 2);
    expect(written).toEqual(['epoch 2/2: loss 0.5000, val top-1 25.0 %\n']);
  });

  it('does not take what was done before for speed', () => {
    const progress = printer({});
    progress.report({ task: 'train', done: 900, total: 1000, unit: 'steps' });
    clock += 5000;
    progress.report({ task: 'train', done: 909, total: 1000, unit: 'steps' });
    expect(written).toEqual(['train: 909/1,000 steps, 2.0 steps/s, 46 s left\n']);
  });
});

describe('progress on a terminal', () => {
  it('rewrites one line, ten times a second at most, and ends it', () => {
    const progress = printer({ isTTY: true, columns: 80 });
    for (let done = 1; done <= 10; done++) {
      progress.report({ task: 'check', done, total: 10, unit: 'images' });
      clock += 50;
    }
    const erase = '\r\u001b[2K';
    expect(written[0]).toBe(`${erase}check: 1/10 images`);
    expect(written).toHaveLength(7);
    expect(written.slice(-2)).toEqual([`${erase}check: 10/10 images, 22 images/s`, '\n']);
  });

  it('shows the line that was held back before other text follows', () => {
    const progress = printer({ isTTY: true, columns: 80 });
    progress.report({ task: 'a', done: 1, total: 9, unit: 'images' });
    progress.report({ task: 'a', done: 2, total: 9, unit: 'images' });
    progress.finish();
    expect(written.join('')).toBe('\r\u001b[2Ka: 1/9 images\r\u001b[2Ka: 2/9 images\n');
    progress.finish();
    expect(written.at(-1)).toBe('\n');
    expect(written).toHaveLength(3);
  });

  it('cuts a line that is wider than the terminal', () => {
    const progress = printer({ isTTY: true, columns: 30 });
    progress.report({ task: 'a task with a long name', done: 1, total: 9, unit: 'images' });
    expect(written[0]).toBe('\r\u001b[2Ka task with a long name: 1/9…');
  });
});
