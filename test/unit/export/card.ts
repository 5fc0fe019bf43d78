import type { Card } from '../../../src-main/export/card-facts.ts';
import { completeSettings } from '../../../src-main/training/settings.ts';

/** A card of a LAST run with a class whose name is awkward. */
export function someCard(changes: Partial<Card> = {}): Card {
  return {
    run: 'shapes-last-20260102-030405',
    created: '2026-01-02T03:04:05.000Z',
    dataset: 'shapes',
    classes: ['circle', 'a "b", c', 'two\nlines', 'größe', 'x'],
    settings: completeSettings({ method: 'last', rank: 3 }, { name: 'tiny', blocks: 4, width: 192, prefix: 1 }),
    parameters: 1234,
    headParameters: 85,
    epoch: 13,
    epochsDone: 30,
    val: { top1: 0.9125, macro: 0.9 },
    test: null,
    backbone: { name: 'tiny', sha256: 'ab'.repeat(32), batch: null },
    preprocessing: {
      width: 32,
      height: 32,
      mean: [0.5, 0.4, 0.3],
      std: [0.5, 0.25, 0.2],
      fit: 'squash',
      cropPct: 1,
      interpolation: 'bicubic',
    },
    layout: { tokens: 17, width: 24, prefix: 1 },
    maps: [1, 2, 3, 4].map((index) => ({ kind: 'P', group: 1, index })),
    usesBase: true,
    scales: [1, 1, 2, 2],
    half: false,
    ...changes,
  };
}
