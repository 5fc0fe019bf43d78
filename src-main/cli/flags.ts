/** What a user typed, checked: a wrong flag is one sentence that names it. */
import { z } from 'zod';
import { Failure } from '../base/failure.ts';

/** Threads that onnxruntime may be told to start: beyond any machine that this is for, and few enough to be had. */
export const MOST_THREADS = 256;

export interface Bounds {
  min?: number;
  max?: number;
  /** Exclusive bounds. */
  above?: number;
  below?: number;
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A whole number, as typed after `flag`. */
export function wholeNumber(flag: string, bounds: Bounds = {}) {
  return numberFlag(flag, 'a whole number', bounds, Number.isSafeInteger);
}

/** A number, as typed after `flag`: 0.001 or 1e-3. */
export function realNumber(flag: string, bounds: Bounds = {}) {
  return numberFlag(flag, 'a number', bounds, Number.isFinite);
}

function numberFlag(flag: string, kind: string, bounds: Bounds, fits: (value: number) => boolean) {
  const { min = -Infinity, max = Infinity, above = -Infinity, below = Infinity } = bounds;
  return z.string().transform((text, context) => {
    const value = DECIMAL.test(text.trim()) ? Number(text) : NaN;
    if (fits(value) && value >= min && value <= max && value > above && value < below) return value;
    context.addIssue(`${flag} takes ${kind}${boundsInWords(bounds)}, not "${text}".`);
    return z.NEVER;
  });
}

/** Bytes, as typed after `flag`: 2000000000, 500MB or 2GB, in powers of 1000 as they are printed. */
export function byteCount(flag: string) {
  return z.string().transform((text, context) => {
    const [, number, unit = 'B'] = /^(\d+(?:\.\d+)?) ?(B|kB|MB|GB|TB)?$/i.exec(text.trim()) ?? [];
    const bytes = Number(number) * 1000 ** ['B', 'KB', 'MB', 'GB', 'TB'].indexOf(unit.toUpperCase());
    if (bytes >= 1) return Math.round(bytes);
    context.addIssue(`${flag} takes a number of bytes, such as 500MB or 2GB, not "${text}".`);
    return z.NEVER;
  });
}

function boundsInWords({ min, max, above, below }: Bounds): string {
  const words: string[] = [];
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) words.push(`of at least ${min}`);
  if (above !== undefined) words.push(`above ${above}`);
  if (max !== undefined) words.push(`at most ${max}`);
  if (below !== undefined) words.push(`below ${below}`);
  return words.length > 0 ? ` ${words.join(' and ')}` : '';
}

/** Whole numbers between commas, at least one. */
export function wholeNumbers(flag: string, bounds: Bounds = {}) {
  const one = wholeNumber(flag, bounds);
  return z.string().transform((text, context): number[] => {
    const parts = text.split(',').map((part) => one.safeParse(part.trim()).data);
    const numbers = parts.filter((part) => part !== undefined);
    if (numbers.length === parts.length) return numbers;
    context.addIssue(
      `${flag} takes whole numbers${boundsInWords(bounds)} between commas, such as 3,6,9, not "${text}".`,
    );
    return z.NEVER;
  });
}

/** Three numbers between commas: one for each colour channel. */
export function threeNumbers(flag: string, bounds: Bounds = {}) {
  const one = realNumber(flag, bounds);
  return z.string().transform((text, context): [number, number, number] => {
    const parts = text.split(',').map((part) => one.safeParse(part.trim()));
    const [red, green, blue] = parts.map((part) => part.data);
    if (parts.length === 3 && red !== undefined && green !== undefined && blue !== undefined) return [red, green, blue];
    context.addIssue(
      `${flag} takes three numbers${boundsInWords(bounds)} between commas, such as 0.5,0.5,0.5, not "${text}".`,
    );
    return z.NEVER;
  });
}

/** The options through the schema. @throws Failure `usage` with the schema's first complaint, which names the flag */
export function checkFlags<T>(schema: z.ZodType<T>, options: unknown): T {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  throw new Failure('usage', complaint(result.error.issues[0]));
}

/** Our own sentences as they are, zod's in ours. */
function complaint(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return 'The flags do not fit together.';
  if (issue.code === 'custom') return issue.message;
  const flag = flagOf(issue.path);
  if (issue.code === 'invalid_value') return `${flag} takes ${issue.values.map(String).join(', or ')}.`;
  return `${flag} takes something else (see --help).`;
}

/** headLr -> --head-lr. */
function flagOf([option]: readonly PropertyKey[]): string {
  return `--${String(option).replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
