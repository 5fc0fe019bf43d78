import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../../../src-main/base/failure.ts';
import { writeLog } from '../../../src-main/base/error-log.ts';
import { describeEnding, usageSentence } from '../../../src-main/cli/errors.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ending-'));
});
afterEach(() => rm(folder, { recursive: true }));

const logged: unknown[] = [];
const log = async (error: unknown) => {
  logged.push(error);
  return '/somewhere/a.log';
};

describe('how a command ends', () => {
  it('says a failure as it is, with 1, and wrong usage with 2', async () => {
    expect(await describeEnding(new Failure('no-run', 'There is no run.'), undefined, log)).toEqual({
      exitCode: 1,
      code: 'no-run',
      message: 'There is no run.',
    });
    expect(await describeEnding(new Failure('usage', '--rank takes.'), undefined, log)).toMatchObject({ exitCode: 2 });
    const wrong = new CommanderError(1, 'commander.unknownOption', "error: unknown option '--x'");
    expect(await describeEnding(wrong, undefined, log)).toEqual({
      exitCode: 2,
      code: 'usage',
      message: "Unknown option '--x'.",
    });
    expect(logged).toEqual([]);
  });

  it('calls anything else an internal error of one line, and says where the rest is', async () => {
    const error = new Error('first line\nsecond line');
    expect(await describeEnding(error, undefined, log)).toEqual({
      exitCode: 1,
      code: 'internal',
      message: 'Internal error: first line (the whole of it is in "/somewhere/a.log").',
    });
    expect(logged).toEqual([error]);
  });

  it('takes whatever was thrown after Ctrl-C for its consequence', async () => {
    const ending = await describeEnding(new Error('a worker died'), 'Interrupted; go on with --resume.', log);
    expect(ending).toEqual({ exitCode: 130, code: 'interrupted', message: 'Interrupted; go on with --resume.' });
  });

  it('turns what commander says into one sentence', () => {
    expect(usageSentence("error: unknown command 'trian'\n(Did you mean train?)")).toBe(
      "Unknown command 'trian': did you mean train?",
    );
    expect(usageSentence("error: unknown option '--ra'\n(Did you mean one of --rank, --rate?)")).toBe(
      "Unknown option '--ra': did you mean one of --rank, --rate?",
    );
    expect(usageSentence("error: too many arguments for 'show'. Expected 1 argument but got 2.: it is used as x")).toBe(
      "Too many arguments for 'show' (2, not 1): it is used as x.",
    );
    expect(usageSentence("error: missing required argument 'run'")).toBe("Missing required argument 'run'.");
  });

  it('keeps the stack, the causes and the command line in a log', async () => {
    const error = new Error('outer', { cause: new Error('the deepest reason') });
    const path = await writeLog(join(folder, 'logs'), error, ['train', '--rank', '8']);
    const text = await readFile(path, 'utf8');
    expect(text).toContain('command: ["train","--rank","8"]');
    expect(text).toContain('errors.test.ts');
    expect(text).toContain('the deepest reason');
  });

  it('finds another place for the log where the folder cannot be made', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const path = await writeLog(join(file, 'logs'), new Error('x'), []);
    expect(path.startsWith(tmpdir())).toBe(true);
    await rm(path);
  });
});
