import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { writePlainVit } from '../../../src-main/backbone/plain-vit.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('writePlainVit', () => {
  it('writes the same bytes everywhere, under 4 MB', () => {
    const bytes = writePlainVit();
    expect(bytes.length).toBeLessThan(4_000_000);
    // Recorded once: another machine or Node version must give it too, for runs on it to be comparable.
    expect(sha256(bytes)).toBe('19f7fcff531355eadcebac213d403a96d8d60200877ca7d81ef199995cf4d6e4');
  });

  it('writes other weights for another seed', () => {
    const tiny = { size: 8, patch: 4, width: 4, blocks: 1, heads: 1 };
    expect(sha256(writePlainVit({ ...tiny, seed: 1 }))).not.toBe(sha256(writePlainVit({ ...tiny, seed: 2 })));
  });
});
