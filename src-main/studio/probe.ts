/** Questions to the machine that may crash whoever asks: each is asked in a process of its own. */
import { z } from 'zod';
import { entryBeside } from '../base/fork-entry.ts';
import { startProcess } from '../base/own-process.ts';

/** What a probe process may be asked: an engine to run a small program, or a device to run a small model. */
export const questionSchema = z.discriminatedUnion('ask', [
  z.object({ ask: z.literal('compiled') }),
  z.object({ ask: z.literal('eager') }),
  z.object({ ask: z.literal('decoder') }),
  z.object({ ask: z.literal('device'), device: z.string() }),
]);
export type Question = z.infer<typeof questionSchema>;

export const answerSchema = z.object({
  works: z.boolean(),
  /** Why it does not, or not on the better backend, as the library says it, in one line. */
  why: z.string().optional(),
  version: z.string().optional(),
  /** Of the eager engine: the TF.js backend that it ran on. */
  backend: z.string().optional(),
});
export type Answer = z.infer<typeof answerSchema>;

/** Asks, and takes a crash, silence for `timeout` ms, and the signal's word for "it does not work". */
export function probe(
  question: Question,
  { timeout = 30_000, signal }: { timeout?: number; signal?: AbortSignal } = {},
) {
  return new Promise<Answer>((resolve) => {
    const child = startProcess(entryBeside('./probe-process', import.meta.url), {
      args: [JSON.stringify(question)],
      stderr: 'keep',
    });
    let answer: Answer | undefined;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill();
    }, timeout);
    const stop = () => child.kill();
    signal?.addEventListener('abort', stop);
    child.onMessage((message) => {
      answer = answerSchema.parse(message);
      // Whatever a library still does in there: it has said what was asked.
      child.kill();
    });
    child.onEnd(({ how, complaint }) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      const ended = late ? `it gave no answer in ${timeout / 1000} s` : `the process ended with ${how}`;
      const hint = oneLine(complaint);
      resolve(answer ?? { works: false, why: hint === '' || late ? ended : `${ended}: ${hint}` });
    });
  });
}

/** The first line that says something, short enough for a table. */
export function oneLine(text: string): string {
  const lines = text
    // eslint-disable-next-line no-control-regex
    .replace(/\u001b\[[0-9;]*m/g, '')
    .split('\n')
    .map((line) => line.trim());
  const telling =
    lines.find((line) => /error|cannot|fail|unable/i.test(line)) ?? lines.find((line) => line !== '') ?? '';
  return telling.length > 240 ? `${telling.slice(0, 239)}…` : telling;
}

/** Words for what onnxruntime says when a device is not there; anything else in its own words. */
export function explainDevice(text: string): string {
  if (/RequestAdapterStatus|requestAdapter|no adapter/i.test(text))
    return 'no graphics adapter was found that WebGPU can use (on Linux it needs a Vulkan driver)';
  if (/_Cuda: Failed to load shared library/i.test(text)) return "onnxruntime's CUDA libraries are not installed";
  return oneLine(text);
}
