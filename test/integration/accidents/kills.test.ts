/**
 * `kill -9` at random moments of extraction, training and export. SIDETUNE_KILLS=10 makes it ten of each instead of
 * one, and prints the log.
 */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { kill, killLog, moments, PHASES, undisturbed, type Kill, type Reference } from './kills.ts';
import { Scene } from './scene.ts';

const asked = process.env.SIDETUNE_KILLS;
const count = Number(asked ?? 1);

let scene: Scene;
let reference: Reference;
const kills: Kill[] = [];
beforeAll(async () => {
  scene = await Scene.set();
  reference = await undisturbed(scene);
});
afterAll(async () => {
  if (asked !== undefined)
    console.log(`${killLog(kills)}\n${kills.filter(({ equal }) => equal).length} of ${kills.length} equal`);
  await scene.clear();
});

describe.each(PHASES)('kill -9 in %s', (phase) => {
  it.each(moments(phase, count))('at $share of it, its children too: $tree, changes no result', async (moment) => {
    kills.push(await kill(scene, reference, phase, moment));
  });
});
