import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { Failure } from '../base/failure.ts';
import { makeFolder } from '../base/make-folder.ts';
import { systemReason } from '../base/system-failure.ts';
import { checkName, isSafeName } from './names.ts';

/** What a workspace keeps, each thing in a folder of its own under the folder of its kind. */
export type WorkspaceKind = 'datasets' | 'backbones' | 'features' | 'runs' | 'sweeps';

/**
 * The folder of the workspace: the one that was named, else SIDETUNE_HOME, else ~/Sidetune.
 * @throws Failure `usage` for the empty name, `workspace` where nothing says where it is
 */
export function workspaceFolder(root?: string): string {
  if (root === '') throw new Failure('usage', '--workspace names no folder: give its path.');
  const named = root ?? process.env.SIDETUNE_HOME;
  if (named) return resolve(named);
  const home = homeFolder();
  if (home !== undefined && isAbsolute(home)) return join(home, 'Sidetune');
  throw new Failure(
    'workspace',
    'There is no home folder to keep a workspace in: name a folder with --workspace, or with SIDETUNE_HOME.',
  );
}

/** Undefined for an account that has none. */
function homeFolder(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}

/** The folders that a user's work lies in: plain, readable, copyable. It knows where things are, not what is in them. */
export class Workspace {
  private constructor(readonly root: string) {}

  /**
   * Opens, and makes where needed, the workspace at `root` (else SIDETUNE_HOME, else ~/Sidetune).
   * @throws Failure `workspace` where the folder cannot be made.
   */
  static async open(root?: string): Promise<Workspace> {
    const folder = workspaceFolder(root);
    try {
      await makeFolder(folder);
    } catch (error) {
      throw new Failure(
        'workspace',
        `The workspace folder "${folder}" cannot be made (${systemReason(error) ?? 'the system refuses'}): choose another with --workspace.`,
        { cause: error },
      );
    }
    return new Workspace(folder);
  }

  get datasets(): string {
    return join(this.root, 'datasets');
  }

  get backbones(): string {
    return join(this.root, 'backbones');
  }

  get features(): string {
    return join(this.root, 'features');
  }

  get runs(): string {
    return join(this.root, 'runs');
  }

  get sweeps(): string {
    return join(this.root, 'sweeps');
  }

  get vtab(): string {
    return join(this.root, 'vtab');
  }

  /** The folder of a dataset; like the five below it may not exist yet, and an unsafe name is a Failure. */
  dataset(name: string): string {
    return join(this.datasets, checkName('dataset', name));
  }

  backbone(name: string): string {
    return join(this.backbones, checkName('backbone', name));
  }

  feature(hash: string): string {
    return join(this.features, checkName('feature cache', hash));
  }

  run(id: string): string {
    return join(this.runs, checkName('run', id));
  }

  sweep(id: string): string {
    return join(this.sweeps, checkName('sweep', id));
  }

  vtabEntry(id: string): string {
    return join(this.vtab, checkName('VTAB entry', id));
  }

  /** The names of the folders of a kind, sorted; temporary and hidden ones are left out. */
  async list(kind: WorkspaceKind): Promise<string[]> {
    const entries = await readdir(this[kind], { withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isDirectory() && isSafeName(entry.name))
      .map((entry) => entry.name)
      .sort();
  }
}
