/** Builds before the tests, which run two files at a time and would each find the build out of date. */
import { buildIfStale, buildRendererIfStale } from '../src-main/cli/build.mjs';

export function setup(): void {
  buildIfStale();
  buildRendererIfStale();
}
