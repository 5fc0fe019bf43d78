/** The class of each logit's exponential share, best first: what `predict` prints, from the same logits. */
import type { ReplyOf } from '../../src-main/studio/service/calls.ts';

type Guesses = ReplyOf<'runs.predict'>['top'];

const TOP = 5;

export function topGuesses(logits: Float32Array, labels: readonly string[]): Guesses {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const shares = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares
    .map((share, index) => ({ label: labels[index]!, index, probability: share / sum }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, TOP);
}
