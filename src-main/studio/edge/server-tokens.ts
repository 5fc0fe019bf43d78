/**
 * Tokens of servers, as the window is given them: files of a folder that only the user can read, so that a backbone's
 * entry names the file and never holds the token.
 */
import { createHash } from 'node:crypto';
import { chmod, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../base/failure.ts';
import { makeFolder } from '../../base/make-folder.ts';
import { writeFileAtomic } from '../../workspace/atomic.ts';
import type { Workspace } from '../../workspace/workspace.ts';

const folderOf = ({ root }: Workspace): string => join(root, 'tokens');

/** @param server address without a slash at the end */
function fileOf(workspace: Workspace, server: string): string {
  return join(folderOf(workspace), createHash('sha256').update(server).digest('hex').slice(0, 16));
}

/** Keeps a server's token. @returns the file that it is in */
export async function keepToken(workspace: Workspace, server: string, token: string): Promise<string> {
  const file = fileOf(workspace, server);
  await makeFolder(folderOf(workspace));
  await chmod(folderOf(workspace), 0o700);
  await writeFileAtomic(file, `${token}\n`);
  return file;
}

export async function dropToken(workspace: Workspace, server: string): Promise<void> {
  await rm(fileOf(workspace, server), { force: true });
}

/** How a server is got at, as far as its token goes. */
export async function accessTo(workspace: Workspace, server: string): Promise<{ tokenFile?: string }> {
  const tokenFile = fileOf(workspace, server);
  return (await readFile(tokenFile).catch(() => undefined)) ? { tokenFile } : {};
}

/**
 * Does something with the token that was typed, which is kept if that succeeds; with that of a file, where one was
 * given; else with the one that is kept.
 * @throws Failure `token` in the window's words, and those of the task
 */
export async function withToken<T>(
  workspace: Workspace,
  server: string,
  { token, tokenFile }: { token?: string; tokenFile?: string },
  task: (access: { tokenFile?: string }) => Promise<T>,
): Promise<T> {
  const before = await readFile(fileOf(workspace, server), 'utf8').catch(() => undefined);
  if (token !== undefined) await keepToken(workspace, server, token);
  try {
    return await task(
      token === undefined && tokenFile !== undefined ? { tokenFile } : await accessTo(workspace, server),
    );
  } catch (error) {
    if (token !== undefined) {
      if (before === undefined) await dropToken(workspace, server);
      else await keepToken(workspace, server, before.trim());
    }
    if (!(error instanceof Failure) || error.code !== 'token') throw error;
    const had = token ?? tokenFile ?? before;
    const why = had === undefined ? 'wants its token' : 'does not take this token';
    throw new Failure('token', `The server at ${server} ${why}: give the one that it was started with.`, {
      cause: error,
    });
  }
}
