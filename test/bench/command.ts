import { Failure } from '../../src-main/base/failure.ts';

/** Runs a bench command; what fails is said in its own words, and with `json` as the last line of stdout too. */
export async function runCommand(json: boolean | undefined, main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(`${error.message}\n`);
    if (json) console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
    process.exitCode = error.code === 'usage' ? 2 : 1;
  }
}

export function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The whole number that a flag was given. @throws Failure `usage` */
export function wholeNumber(flag: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new Failure('usage', `${flag} wants a whole number from 1 on, not "${value}".`);
  return number;
}
