/**
 * Folders and models that are sent to the studio, because who sends them cannot tell a path. They lie in `uploads` of the
 * workspace until they have been taken in as a copy; one that does not arrive whole leaves nothing.
 */
import { createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../../base/failure.ts';
import { makeFolder } from '../../base/make-folder.ts';
import { hasDataset } from '../../data/dataset-store.ts';
import { diskFull, errorCode, temporaryName } from '../../workspace/atomic.ts';
import { freeSpace } from '../../workspace/free-space.ts';
import { safeName } from '../../workspace/names.ts';
import { sweepTemporaries } from '../../workspace/sweep.ts';
import type { Workspace } from '../../workspace/workspace.ts';

export interface UploadLimits {
  /** Of one file, in bytes. */
  fileBytes: number;
  files: number;
}

export const UPLOAD_LIMITS: UploadLimits = { fileBytes: 4e9, files: 500_000 };

/** A file of an upload, as it is announced. */
export interface UploadedFile {
  /** Relative, with "/" between its parts; the first is the folder that was dropped. */
  path: string;
  bytes: number;
  mtimeMs: number;
}

/** A whole upload, to be imported. */
export interface ArrivedUpload {
  /** Of the folder in `uploads`. */
  id: string;
  /** What is to be imported: a folder, or the one file that was sent. */
  path: string;
  /** A name for the dataset that no other has. */
  name: string;
}

const LONGEST_PATH_BYTES = 1024;
/** After that long nobody is about to import it. */
const KEPT_MS = 7 * 24 * 3600 * 1000;

const uploadsOf = ({ root }: Workspace): string => join(root, 'uploads');

export class Upload {
  private files = 0;
  private readonly tops = new Set<string>();

  private constructor(
    private readonly workspace: Workspace,
    private readonly folder: string,
    private readonly limits: UploadLimits,
  ) {}

  /**
   * @param bytes that will come
   * @throws Failure `disk-full` where the disk says that it has no room for them and for the copy that is made of them
   */
  static async begin(workspace: Workspace, bytes: number, limits = UPLOAD_LIMITS): Promise<Upload> {
    const uploads = uploadsOf(workspace);
    await sweepUploads(workspace);
    if (2 * bytes > (await freeSpace(uploads)))
      throw new Failure(
        'disk-full',
        `These files have ${Math.ceil(bytes / 1e6)} MB, of which the disk of "${uploads}" needs twice as much for a moment: free some space, or add the folder by its path.`,
      );
    const folder = temporaryName(join(uploads, 'folder'));
    await makeFolder(folder);
    return new Upload(workspace, folder, limits);
  }

  /** Takes a file's content in. @throws Failure `upload` for a name that leads elsewhere, too large a file or too many */
  async add({ path, bytes, mtimeMs }: UploadedFile, content: Readable): Promise<void> {
    const parts = checkedParts(path);
    if (bytes > this.limits.fileBytes)
      throw new Failure(
        'upload',
        `"${path}" is larger than ${this.limits.fileBytes / 1e6} MB: add its folder by its path.`,
      );
    if (++this.files > this.limits.files)
      throw new Failure('upload', `These are more than ${this.limits.files} files: add the folder by its path.`);
    const file = join(this.folder, ...parts);
    try {
      await makeFolder(dirname(file));
      // A second file of that name, on a system to which the names are the same, must not take the first one's place.
      await pipeline(content, createWriteStream(file, { flags: 'wx' }));
      await utimes(file, mtimeMs / 1000, mtimeMs / 1000);
    } catch (error) {
      if (['EEXIST', 'EISDIR', 'ENOTDIR'].includes(errorCode(error)))
        throw new Failure('upload', `"${path}" has the name of another file that was sent: rename one of them.`, {
          cause: error,
        });
      throw diskFull(error, file);
    }
    this.tops.add(parts[0]!);
  }

  /** @throws Failure `upload` where no file has come */
  async finish(): Promise<ArrivedUpload> {
    if (this.files === 0) throw new Failure('upload', 'There are no files in what was sent.');
    const id = basename(this.folder).split('.').at(-2)!;
    const folder = join(uploadsOf(this.workspace), id);
    await rename(this.folder, folder);
    const [only] = this.tops;
    const path = this.tops.size === 1 ? join(folder, only!) : folder;
    const isFile = (await stat(path)).isFile();
    const own = this.tops.size > 1 ? 'dropped' : isFile ? only!.replace(/\.[^.]*$/, '') : only!;
    return { id, path, name: await freeName(this.workspace, safeName(own) || 'dropped') };
  }

  /**
   * As `finish`, of an ONNX file and the files beside it that it keeps its weights in.
   * @returns path of the ONNX file
   * @throws Failure `upload` where that is not one
   */
  async finishModel(): Promise<string> {
    const models = [...this.tops].filter((name) => /\.onnx$/i.test(name));
    if (models.length !== 1)
      throw new Failure('upload', 'That is not one ONNX file, with at most the files that it keeps its weights in.');
    const { id } = await this.finish();
    return join(uploadsOf(this.workspace), id, models[0]!);
  }

  /** Leaves nothing of it. */
  async discard(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The parts of a path that stays below the folder that it is put into. @throws Failure `upload` */
function checkedParts(path: string): string[] {
  const parts = path.split('/');
  // What would mean something else on another system is refused on all of them.
  // eslint-disable-next-line no-control-regex
  const isOdd = (part: string) => ['', '.', '..'].includes(part) || /[\u0000-\u001f\\]|^[a-z]:/i.test(part);
  const isLong = Buffer.byteLength(path) > LONGEST_PATH_BYTES || parts.some((part) => Buffer.byteLength(part) > 255);
  if (parts.some(isOdd) || isLong)
    throw new Failure(
      'upload',
      `${JSON.stringify(path.slice(0, 100))} cannot be the path of a file that is sent: rename it.`,
    );
  return parts;
}

async function freeName(workspace: Workspace, name: string): Promise<string> {
  for (let n = 1; ; n++) {
    const free = n === 1 ? name : `${name}-${n}`;
    if (!(await hasDataset(workspace, free))) return free;
  }
}

/** The upload that a file belongs to; undefined for every other file. */
export function uploadOf(workspace: Workspace, file: string): string | undefined {
  const [id, ...below] = relative(uploadsOf(workspace), file).split(sep);
  return below.length > 0 && /^[0-9a-z-]+$/i.test(id!) ? id : undefined;
}

/** Removes an upload that has been imported, or never will be. */
export async function removeUpload(workspace: Workspace, id: string): Promise<void> {
  await rm(join(uploadsOf(workspace), id), { recursive: true, force: true });
}

/** Removes what was left by processes that are no more, and whole uploads that nobody has imported for long. */
async function sweepUploads(workspace: Workspace): Promise<void> {
  const uploads = uploadsOf(workspace);
  await sweepTemporaries(uploads);
  for (const id of await readdir(uploads).catch(() => [])) {
    const status = await stat(join(uploads, id)).catch(() => undefined);
    if (!id.startsWith('.') && status && Date.now() - status.mtimeMs > KEPT_MS) await removeUpload(workspace, id);
  }
}
